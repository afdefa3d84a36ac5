import { recordUrl } from '../api/client';
import type { Deployment } from '../api/types';
import { baseName } from '../i18n/format';
import { useApp } from './context';
import { Icon } from './Icon';
import { WifiSecret } from './WifiSecret';

// A deployment that succeeded: what was made, and what to do with it.
export function ResultPanel({ deployment, port }: { deployment: Deployment; port: string }) {
  const { t, dispatch, mayDeploy } = useApp();
  return (
    <div class="card-body result">
      <div class="result-head">
        <span class="result-mark">
          <Icon name="ready" />
        </span>
        <div>
          <p class="result-title">{t('successTitle')}</p>
          <p class="work-organization">
            {t('successMessage', { port, customer: deployment.customer.customerId })}
          </p>
        </div>
      </div>
      <p class="result-details">{t('deploymentDetails')}</p>
      <ResultDetails deployment={deployment} />
      <p class="hint licence">
        <Icon name="bulb" /> <span>{t('licenceHint')}</span>
      </p>
      {mayDeploy && (
        <div class="buttons">
          <a class="button" href={recordUrl(deployment.name)} download>
            <Icon name="download" /> {t('downloadRecord')}
          </a>
          <button
            type="button"
            class="button"
            onClick={() => dispatch({ type: 'dismiss', deployment: deployment.name })}
          >
            {t('close')}
          </button>
          <button
            type="button"
            class="button primary"
            onClick={() => dispatch({ type: 'new-deployment', dismiss: deployment.name })}
          >
            {t('deployAnother')}
          </button>
        </div>
      )}
    </div>
  );
}

export function ResultDetails({ deployment }: { deployment: Deployment }) {
  const { t } = useApp();
  return (
    <dl class="facts">
      {deployment.recordPath && (
        <div>
          <dt>
            <Icon name="file" /> {t('createdFile')}
          </dt>
          <dd>
            <code>{baseName(deployment.recordPath)}</code>
          </dd>
        </div>
      )}
      <div>
        <dt>
          <Icon name="link" /> {t('macAddress')}
        </dt>
        <dd>
          <code>{deployment.mac}</code>
        </dd>
      </div>
      {deployment.wifiSsid && (
        <div>
          <dt>
            <Icon name="wifi" /> {t('wifi')}
          </dt>
          <dd>
            <WifiSecret deployment={deployment} />
          </dd>
        </div>
      )}
    </dl>
  );
}
