import { dateTime } from '../i18n/format';
import { wifiPayload } from '../wifi/payload';
import { type LabelContent, useApp } from './context';
import { QrCode } from './QrCode';

// The label for one board, 62 by 29 mm; on paper only.
export function PrintLabel({ label }: { label: LabelContent }) {
  const { t, language } = useApp();
  return (
    <div class="label" aria-hidden="true">
      <QrCode text={wifiPayload(label.ssid, label.password)} label={t('wifiQr', { ssid: label.ssid })} />
      <div class="label-text">
        <p class="label-customer">{label.customerId}</p>
        <p class="label-line">{label.ssid}</p>
        <p class="label-secret">{label.password}</p>
        <p class="label-small">{label.mac}</p>
        <p class="label-small">{dateTime(language, label.time)}</p>
      </div>
    </div>
  );
}
