import { recordUrl } from '../api/client';
import type { Deployment, StationEvent, Step } from '../api/types';
import { bytes, clockTime, dateTime } from '../i18n/format';
import { isEnded, isRetryable } from '../state/reducer';
import { useApp } from './context';
import { ApiErrorPanel, FailurePanel } from './ErrorPanel';
import { took } from './HistoryView';
import { Icon } from './Icon';
import { ResultDetails } from './ResultPanel';
import { Spinner } from './Spinner';
import { StateBadge } from './StateBadge';
import { useLoad } from './use-load';
import { STEP_NAMES, StepList } from './WorkPanel';

// One deployment in full: customer, steps, result or error, and every event of its life.
export function DeploymentView({ name }: { name: string }) {
  const { state, t, language, actions, mayDeploy } = useApp();
  const live = state.deployments[name];
  const loaded = useLoad(() => actions.client.deployment(name), [name, live?.sequence]);
  const events = useLoad(() => actions.client.events(name), [name, live?.sequence]);
  const deployment = live ?? loaded.value;
  if (!deployment) {
    return (
      <div class="page">
        {loaded.error ? (
          <ApiErrorPanel error={loaded.error} />
        ) : (
          <Spinner size="large">{t('loading')}</Spinner>
        )}
      </div>
    );
  }
  const { customer } = deployment;
  const bundle = state.bundles[deployment.bundle];
  const cardError = state.cardErrors[name];
  return (
    <div class="page">
      <a class="back" href="#/history">
        <Icon name="back" /> {t('backToHistory')}
      </a>
      <div class="page-head">
        <h1>
          {customer.customerId} <StateBadge state={deployment.state} />
        </h1>
        <div class="buttons">
          {mayDeploy && deployment.recordPath && (
            <a class="button" href={recordUrl(name)} download>
              <Icon name="download" /> {t('downloadRecord')}
            </a>
          )}
          {mayDeploy && isRetryable(deployment) && (
            <button type="button" class="button primary" onClick={() => void actions.retry(deployment)}>
              <Icon name="retry" /> {t('retry')}
            </button>
          )}
        </div>
      </div>
      {cardError && !deployment.hasWifiPassword && <ApiErrorPanel error={cardError} />}
      <div class="columns">
        <section class="panel">
          <dl class="facts">
            <Fact name={t('organization')} value={customer.organization} />
            <Fact name={t('applicationName')} value={customer.applicationName} />
            {customer.expiryDate && <Fact name={t('expiryDate')} value={customer.expiryDate} />}
            <Fact name={t('firmware')} value={bundle?.title || deployment.bundle.slice(8, 20)} />
            <Fact
              name={t('port')}
              value={actions.labelOf(deployment.port || deployment.requestedPort || '')}
            />
            <Fact name={t('chip')} value={deployment.chip ?? ''} />
            {deployment.flash && (
              <Fact
                name={t('written')}
                value={t('writtenOf', {
                  written: bytes(Number(deployment.flash.writtenBytes ?? 0)),
                  total: bytes(Number(deployment.flash.imageBytes ?? 0)),
                })}
              />
            )}
            <Fact name={t('created')} value={dateTime(language, deployment.createTime)} />
            <Fact name={t('ended')} value={dateTime(language, deployment.endTime)} />
            <Fact name={t('duration')} value={took(deployment)} />
          </dl>
          {deployment.state === 'STATE_SUCCEEDED' && <ResultDetails deployment={deployment} />}
          {deployment.failure && isEnded(deployment) && <FailurePanel failure={deployment.failure} />}
        </section>
        <section class="panel">
          <h2>{t('steps')}</h2>
          <StepList
            deployment={deployment}
            step={deployment.step === 'STEP_UNSPECIFIED' ? null : (deployment.step ?? null)}
            times
          />
        </section>
      </div>
      <section class="panel">
        <h2>{t('timeline')}</h2>
        {events.error && <ApiErrorPanel error={events.error} />}
        <Timeline events={events.value?.events ?? []} />
      </section>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return value === '' ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Timeline({ events }: { events: StationEvent[] }) {
  const { t, language } = useApp();
  let before: Deployment | null = null;
  return (
    <ol class="timeline">
      {events.map((event) => {
        const what = describe(event, before, t);
        before = event.deployment ?? before;
        return (
          <li key={event.sequence}>
            <span class="timeline-number">{event.sequence}</span>
            <time dateTime={event.time ?? ''}>{clockTime(language, event.time)}</time>
            <span>{what}</span>
          </li>
        );
      })}
    </ol>
  );
}

// What one event changed, in words.
function describe(event: StationEvent, before: Deployment | null, t: ReturnType<typeof useApp>['t']): string {
  if (event.audit) return t('eventAudit', { actor: event.audit.actor ?? '' });
  const { deployment } = event;
  if (!deployment) return event.kind ?? '';
  if (before === null) return t('eventAccepted');
  if ((deployment.attempt ?? 1) !== (before.attempt ?? 1))
    return t('eventRetry', { n: deployment.attempt ?? 1 });
  if (deployment.cancelRequested && !before.cancelRequested) return t('eventCancel');
  switch (deployment.state) {
    case 'STATE_SUCCEEDED':
      return t('stateSucceeded');
    case 'STATE_FAILED':
    case 'STATE_NEEDS_ATTENTION':
      return [t('stateFailed'), deployment.failure?.code, deployment.failure?.detail]
        .filter(Boolean)
        .join(' · ');
    case 'STATE_CANCELED':
      return t('stateCanceled');
    case 'STATE_PENDING':
      return t('statePending');
    default: {
      const step = deployment.step;
      const name = step && step !== 'STEP_UNSPECIFIED' ? t(STEP_NAMES[step as Step]) : t('stateRunning');
      return `${name} · ${deployment.progressPercent ?? 0} %`;
    }
  }
}
