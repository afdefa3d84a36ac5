import type { Deployment } from '../api/types';
import { wifiPayload } from '../wifi/payload';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';
import { QrCode } from './QrCode';

// SSID, password (masked until somebody asks, which the ledger notes), QR code and label.
export function WifiSecret({ deployment }: { deployment: Deployment }) {
  const { state, t, actions, dispatch, mayDeploy, print } = useApp();
  const ssid = deployment.wifiSsid ?? '';
  const password = state.revealed[deployment.name];
  const error = state.cardErrors[deployment.name];

  const printLabel = async () => {
    const secret = await actions.reveal(deployment.name);
    if (secret === null) return;
    print({
      customerId: deployment.customer.customerId,
      ssid,
      password: secret,
      mac: deployment.mac ?? '',
      time: deployment.endTime ?? '',
    });
  };
  return (
    <div class="wifi">
      <p>
        <span class="wifi-name">{t('ssid')}</span> <code>{ssid}</code>
      </p>
      {deployment.hasWifiPassword && (
        <p>
          <span class="wifi-name">{t('password')}</span>{' '}
          {password === undefined ? (
            <span class="masked">
              <span aria-hidden="true">••••••••••••</span>
              <span class="unseen">{t('hidden')}</span>
            </span>
          ) : (
            <code class="secret" data-testid="password">
              {password}
            </code>
          )}
        </p>
      )}
      {password !== undefined && <QrCode text={wifiPayload(ssid, password)} label={t('wifiQr', { ssid })} />}
      {deployment.hasWifiPassword && mayDeploy && (
        <div class="buttons">
          {password === undefined ? (
            <button
              type="button"
              class="button small"
              title={t('revealAudited')}
              onClick={() => void actions.reveal(deployment.name)}
            >
              <Icon name="eye" /> {t('reveal')}
            </button>
          ) : (
            <button
              type="button"
              class="button small"
              onClick={() => dispatch({ type: 'hide', deployment: deployment.name })}
            >
              <Icon name="eye" /> {t('hide')}
            </button>
          )}
          <button
            type="button"
            class="button small"
            title={t('revealAudited')}
            onClick={() => void printLabel()}
          >
            <Icon name="print" /> {t('printLabel')}
          </button>
        </div>
      )}
      {error && <ApiErrorPanel error={error} />}
    </div>
  );
}
