import type { ApiError } from '../api/client';
import type { Deployment, Failure } from '../api/types';
import { isRetryable } from '../state/reducer';
import { useApp } from './context';
import { failureText } from './failure';
import { Icon, type IconName } from './Icon';
import { StepList } from './WorkPanel';

const COLOURS = ['red', 'yellow', 'blue'];
// The catalogue's emoji, drawn here: not every bench computer has a font for them.
const ICONS: Readonly<Record<string, IconName>> = {
  '🌐': 'globe',
  '🔧': 'wrench',
  '📡': 'antenna',
  '📁': 'folder',
  '⚠️': 'attention',
  '⏰': 'waiting',
  '❌': 'fault',
};

interface Words {
  icon: string;
  colour: string;
  message: string;
  detail: string;
  tips: string[];
  code: string;
}

// Icon, sentence, detail line, what to try: the same for every kind of failure.
function Panel({ icon, colour, message, detail, tips, code }: Words) {
  const { t } = useApp();
  return (
    <div class={`failure failure-${COLOURS.includes(colour) ? colour : 'red'}`} role="alert">
      <p class="failure-message">
        <Icon name={ICONS[icon] ?? 'fault'} class="failure-icon" />
        <strong>{message}</strong>
      </p>
      {detail && (
        <p class="failure-detail">
          <b>{t('errorDetails')}</b> <span lang="en">{detail}</span>
        </p>
      )}
      {tips.length > 0 && (
        <>
          <p class="failure-try">{t('whatToTry')}</p>
          <ul>
            {tips.map((tip) => (
              <li key={tip}>{tip}</li>
            ))}
          </ul>
        </>
      )}
      {code && (
        <p class="failure-code">
          {t('errorCode')} <code>{code}</code>
        </p>
      )}
    </div>
  );
}

export function FailurePanel({ failure }: { failure: Failure }) {
  const { language, t } = useApp();
  const words = failureText(failure, language);
  return (
    <Panel
      icon={failure.icon ?? ''}
      colour={failure.colour ?? 'red'}
      message={words?.message ?? t('statusFailed')}
      detail={failure.detail ?? ''}
      tips={words?.tips ?? []}
      code={failure.code}
    />
  );
}

// What the gateway answered to a call, or that it did not answer.
export function ApiErrorPanel({ error }: { error: ApiError }) {
  const { t } = useApp();
  const { body } = error;
  const fields = (body?.fields ?? []).map(({ field, description }) => `${field}: ${description}`).join('; ');
  return (
    <Panel
      icon={body ? (body.icon ?? '') : '🌐'}
      colour={body?.colour ?? 'red'}
      message={body?.message ?? t('unanswered')}
      detail={body?.details || fields}
      tips={body ? (body.tips ?? []) : [t('unansweredTip'), t('unansweredTip2')]}
      code={body?.code ?? ''}
    />
  );
}

// A deployment that did not succeed.
export function ErrorPanel({ deployment }: { deployment: Deployment }) {
  const { state, t, actions, dispatch, mayDeploy } = useApp();
  const { failure } = deployment;
  const error = state.cardErrors[deployment.name];
  const canceled = deployment.state === 'STATE_CANCELED';
  return (
    <div class="card-body">
      <div class="work-who">
        <p class="work-customer">{deployment.customer.customerId}</p>
        <p class="work-organization">{deployment.customer.organization}</p>
      </div>
      {canceled || !failure ? (
        <p class="work-wait">
          <Icon name="cancel" />
          {t(canceled ? 'canceledText' : 'statusFailed')}
        </p>
      ) : (
        <FailurePanel failure={failure} />
      )}
      {!canceled && <StepList deployment={deployment} step={null} />}
      {error && <ApiErrorPanel error={error} />}
      {mayDeploy && (
        <div class="buttons">
          {isRetryable(deployment) && (
            <button type="button" class="button primary" onClick={() => void actions.retry(deployment)}>
              <Icon name="retry" /> {t('retry')}
            </button>
          )}
          <button
            type="button"
            class="button"
            onClick={() => dispatch({ type: 'dismiss', deployment: deployment.name })}
          >
            {t('close')}
          </button>
        </div>
      )}
    </div>
  );
}
