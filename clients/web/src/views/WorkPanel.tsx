import { type Deployment, STEPS, type Step, type StepRecord } from '../api/types';
import { duration, durationMs, rate } from '../i18n/format';
import type { TextKey } from '../i18n/texts';
import { statusText } from '../state/announce';
import { type Live, liveOf } from '../state/selectors';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';
import { Spinner } from './Spinner';

export const STEP_NAMES: Readonly<Record<Step, TextKey>> = {
  STEP_PREPARE: 'stepPrepare',
  STEP_CONNECT: 'stepConnect',
  STEP_IDENTIFY: 'stepIdentify',
  STEP_FLASH: 'stepFlash',
  STEP_VERIFY: 'stepVerify',
  STEP_BOOT: 'stepBoot',
  STEP_CONFIRM: 'stepConfirm',
  STEP_EXPORT: 'stepExport',
  STEP_DONE: 'stepDone',
};

const STATE_NAMES = {
  waiting: 'stepWaiting',
  running: 'stepRunning',
  finished: 'stepFinished',
  failed: 'stepFailed',
  skipped: 'stepSkipped',
} as const;

// A deployment that waits or runs.
export function WorkPanel({
  deployment,
  port,
  absent,
}: {
  deployment: Deployment;
  port: string;
  absent: boolean;
}) {
  const { state, t, actions, now, mayDeploy } = useApp();
  const live = liveOf(state, deployment, now);
  const pending = deployment.state === 'STATE_PENDING';
  const error = state.cardErrors[deployment.name];
  return (
    <div class="card-body work">
      <div class="work-head">
        <div class="work-who">
          <p class="work-customer">{deployment.customer.customerId}</p>
          <p class="work-organization">{deployment.customer.organization}</p>
        </div>
        {!pending && (
          <p class="work-percent" aria-hidden="true">
            {live.percent}
            <small>%</small>
          </p>
        )}
      </div>
      {pending ? (
        <p class="work-wait">
          <Icon name={absent ? 'plug' : 'waiting'} />
          {t(absent ? 'waitingForBoard' : 'waitingForTurn')}
        </p>
      ) : (
        <>
          <div
            class="bar"
            role="progressbar"
            aria-label={t('progressOf', { port })}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={live.percent}
          >
            <span style={{ width: `${live.percent}%` }} />
          </div>
          <p class="work-status">
            <span>{t(statusText(deployment, live.step))}</span>
            {(deployment.attempt ?? 1) > 1 && (
              <span class="chip">{t('attemptN', { n: deployment.attempt ?? 1 })}</span>
            )}
          </p>
          <StepList deployment={deployment} step={live.step} />
          <Figures live={live} />
        </>
      )}
      {error && <ApiErrorPanel error={error} />}
      {mayDeploy && (
        <div class="buttons">
          {deployment.cancelRequested ? (
            <p class="hint">{t('cancelAsked')}</p>
          ) : (
            <button type="button" class="button quiet" onClick={() => void actions.cancel(deployment.name)}>
              <Icon name="cancel" /> {t('cancel')}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Figures({ live }: { live: Live }) {
  const { t } = useApp();
  return (
    <dl class="figures">
      <div>
        <dt>{t('elapsed')}</dt>
        <dd>{live.elapsedMs === null ? '–' : duration(live.elapsedMs)}</dd>
      </div>
      <div>
        <dt>{t('remaining')}</dt>
        <dd>{live.remainingMs === null ? '–' : `~ ${duration(live.remainingMs)}`}</dd>
      </div>
      <div>
        <dt>{t('rate')}</dt>
        <dd>{live.bytesPerSecond === null ? '–' : rate(live.bytesPerSecond)}</dd>
      </div>
    </dl>
  );
}

type Shown = keyof typeof STATE_NAMES;

// Every step with its state; `times` adds how long each took.
export function StepList({
  deployment,
  step,
  times = false,
}: {
  deployment: Deployment;
  step: Step | null;
  times?: boolean;
}) {
  const { t } = useApp();
  const records = new Map((deployment.steps ?? []).map((record) => [record.step, record]));
  return (
    <ol class={times ? 'steps steps-times' : 'steps'} aria-label={t('steps')}>
      {STEPS.filter((one) => one !== 'STEP_DONE').map((one) => {
        const record = records.get(one);
        const shown = shownState(record, one, step, deployment);
        const elapsed = durationMs(record?.elapsed);
        return (
          <li key={one} class={`step step-${shown}`} aria-current={shown === 'running' ? 'step' : undefined}>
            <span class="step-mark">
              {shown === 'running' ? (
                <Spinner size="small" />
              ) : shown === 'finished' ? (
                <Icon name="ready" />
              ) : null}
              {shown === 'failed' && <Icon name="cancel" />}
            </span>
            <span class="step-name">{t(STEP_NAMES[one])}</span>
            <span class="unseen">, {t(STATE_NAMES[shown])}</span>
            {times && elapsed !== null && shown !== 'waiting' && (
              <span class="step-time">{(elapsed / 1000).toFixed(1)} s</span>
            )}
          </li>
        );
      })}
    </ol>
  );
}

// Live progress may be a step ahead of the last event.
function shownState(
  record: StepRecord | undefined,
  one: Step,
  step: Step | null,
  deployment: Deployment,
): Shown {
  switch (record?.state) {
    case 'STATE_FINISHED':
      return 'finished';
    case 'STATE_FAILED':
      return 'failed';
    case 'STATE_SKIPPED':
      return 'skipped';
    default:
      break;
  }
  if (deployment.state !== 'STATE_RUNNING') return record?.state === 'STATE_RUNNING' ? 'failed' : 'waiting';
  if (one === step) return 'running';
  return step !== null && STEPS.indexOf(one) < STEPS.indexOf(step) ? 'finished' : 'waiting';
}
