import { localDate, problemsOf } from '../form/customer';
import { portCards, shownBatches, waitingForAny } from '../state/selectors';
import { BatchStrip } from './BatchStrip';
import { useApp } from './context';
import { checkName } from './health';
import { Icon } from './Icon';
import { LampBand } from './LampBand';
import { OrderForm } from './OrderForm';
import { PortCardView } from './PortCardView';
import { RewriteDialog } from './RewriteDialog';

// The view people live in: the lamp, the form, one card for each port.
export function BenchView() {
  const { state, t, actions, now, mayDeploy } = useApp();
  const cards = portCards(state, now);
  const waiting = waitingForAny(state);
  const active = cards.some(({ mode }) => mode !== 'absent' && mode !== 'ready');
  const formReady = Object.keys(problemsOf(state.form, localDate(new Date(now)))).length === 0;
  return (
    <>
      <LampBand cards={cards} formReady={formReady} />
      {state.known && state.connection !== 'live' && <p class="stale">{t('connectionStale')}</p>}
      {state.connection === 'live' && state.health?.level === 'LEVEL_DEGRADED' && (
        <p class="stale">
          <a href="#/station">
            {t('degraded', {
              checks: (state.health.checks ?? [])
                .filter((check) => !check.ok)
                .map((check) => checkName(t, check.name))
                .join(', '),
            })}
          </a>
        </p>
      )}
      <div class={`bench ${mayDeploy ? '' : 'bench-watch'} ${active ? 'bench-active' : ''}`}>
        {mayDeploy && <OrderForm cards={cards} />}
        <section class="ports" aria-label={t('ports')} aria-busy={!state.known}>
          {shownBatches(state, now).map((batch) => (
            <BatchStrip key={batch.name} batch={batch} />
          ))}
          {waiting.map((deployment) => (
            <div key={deployment.name} class="waiting-any">
              <Icon name="waiting" />
              <span class="waiting-text">
                <strong>{deployment.customer.customerId}</strong> {t('waitingForAny')}
              </span>
              {mayDeploy && (
                <button
                  type="button"
                  class="button"
                  disabled={deployment.cancelRequested === true}
                  onClick={() => void actions.cancel(deployment.name)}
                >
                  {t('cancel')}
                </button>
              )}
            </div>
          ))}
          {state.known && cards.length === 0 && (
            <div class="empty">
              <Icon name="plug" />
              <p>{t('noPorts')}</p>
            </div>
          )}
          <div class="cards">
            {cards.map((card) => (
              <PortCardView key={card.board.port} card={card} />
            ))}
          </div>
        </section>
      </div>
      {state.order.question && <RewriteDialog question={state.order.question} />}
    </>
  );
}
