import type { Batch } from '../api/types';
import type { TextKey } from '../i18n/texts';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';

const STATES: Readonly<Record<Batch['state'], TextKey>> = {
  STATE_ACTIVE: 'batchActive',
  STATE_PAUSED: 'batchPaused',
  STATE_COMPLETED: 'batchCompleted',
  STATE_ENDED: 'batchEnded',
};

// A standing order: how many boards are made, under way and still to come, and its pause.
export function BatchStrip({ batch }: { batch: Batch }) {
  const { state, t, actions, mayDeploy } = useApp();
  const { name, customer, count, running = 0, succeeded = 0, failed = 0, refused = 0 } = batch;
  const paused = batch.state === 'STATE_PAUSED';
  const open = paused || batch.state === 'STATE_ACTIVE';
  const error = state.cardErrors[name];
  return (
    <section class="batch" data-batch={name} data-state={batch.state} aria-label={t('batch')}>
      <Icon name={open ? 'next' : 'ready'} />
      <div class="batch-what">
        <strong>{customer?.customerId ?? t('batchList')}</strong> {t(STATES[batch.state])} ·{' '}
        {(batch.ports ?? []).join(' ')}
        <progress class="batch-bar" max={count} value={succeeded} aria-label={t('batchMade')} />
      </div>
      <dl class="batch-counts">
        <Count text="batchMade" value={`${succeeded}/${count}`} />
        <Count text="batchRunning" value={running} />
        <Count text="batchFailed" value={failed} />
        {refused > 0 && <Count text="batchRefused" value={refused} />}
        <Count text="batchRemaining" value={count - succeeded} />
      </dl>
      {mayDeploy && open && (
        <button type="button" class="button" onClick={() => void actions.togglePause(batch)}>
          {t(paused ? 'batchResume' : 'batchPause')}
        </button>
      )}
      {error && <ApiErrorPanel error={error} />}
    </section>
  );
}

function Count({ text, value }: { text: TextKey; value: number | string }) {
  const { t } = useApp();
  return (
    <div>
      <dt>{t(text)}</dt>
      <dd>{value}</dd>
    </div>
  );
}
