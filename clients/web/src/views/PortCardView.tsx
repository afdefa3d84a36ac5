import { bytes } from '../i18n/format';
import type { TextKey } from '../i18n/texts';
import type { CardMode, PortCard } from '../state/selectors';
import { useApp } from './context';
import { ApiErrorPanel, ErrorPanel, FailurePanel } from './ErrorPanel';
import { Icon, type IconName } from './Icon';
import { ResultPanel } from './ResultPanel';
import { WorkPanel } from './WorkPanel';

const MODES: Readonly<Record<CardMode, { icon: IconName; text: TextKey }>> = {
  absent: { icon: 'plug', text: 'modeAbsent' },
  ready: { icon: 'ready', text: 'modeReady' },
  unusable: { icon: 'attention', text: 'modeUnusable' },
  waiting: { icon: 'waiting', text: 'modeWaiting' },
  working: { icon: 'working', text: 'modeWorking' },
  done: { icon: 'ready', text: 'modeDone' },
  failed: { icon: 'attention', text: 'modeFailed' },
  canceled: { icon: 'cancel', text: 'modeCanceled' },
};

// One physical place to plug in: what is there, what happens to it, what became of it.
export function PortCardView({ card }: { card: PortCard }) {
  const { t } = useApp();
  const { board, label, mode, deployment } = card;
  const { icon, text } = MODES[mode];
  const chip = deployment?.chip || board.chip;
  const mac = deployment?.mac || board.mac;
  return (
    <article
      class={`card card-${mode}`}
      data-port={board.port}
      data-mode={mode}
      aria-label={`${t('port')} ${label}`}
    >
      <header class="card-head">
        <h2 class="card-label">{label}</h2>
        {label !== board.port && <span class="card-port">{board.port}</span>}
        <span class={`badge badge-${mode}`}>
          <Icon name={icon} />
          {t(text)}
        </span>
      </header>
      <Body card={card} />
      {(chip || mac) && mode !== 'absent' && (
        <footer class="card-foot">
          {chip && (
            <span>
              <Icon name="chip" /> {chip}
              {board.flashSizeBytes ? ` · ${bytes(board.flashSizeBytes)}` : ''}
            </span>
          )}
          {mac && <code>{mac}</code>}
        </footer>
      )}
    </article>
  );
}

function Body({ card }: { card: PortCard }) {
  const { deployment, mode } = card;
  if (deployment === null) return <BoardPanel card={card} />;
  switch (mode) {
    case 'done':
      return <ResultPanel deployment={deployment} port={card.label} />;
    case 'failed':
    case 'canceled':
      return <ErrorPanel deployment={deployment} />;
    default:
      return (
        <WorkPanel deployment={deployment} port={card.label} absent={card.board.state === 'STATE_ABSENT'} />
      );
  }
}

// A port without a deployment.
function BoardPanel({ card }: { card: PortCard }) {
  const { state, t, actions, mayDeploy } = useApp();
  const { board, last, mode } = card;
  const error = state.cardErrors[board.name];
  return (
    <div class="card-body">
      {mode === 'absent' && (
        <p class="slot">
          <Icon name="plug" />
          {t('plugInHere')}
        </p>
      )}
      {mode === 'unusable' && board.failure && <FailurePanel failure={board.failure} />}
      {mode === 'ready' && (
        <div class="board">
          <p class="board-what">{board.chip || t('unknownBoard')}</p>
          {board.adapter && <p class="board-adapter">{board.adapter}</p>}
          {!board.mac && mayDeploy && (
            <button type="button" class="button" onClick={() => void actions.identify(board)}>
              {t('identify')}
            </button>
          )}
        </div>
      )}
      {error && <ApiErrorPanel error={error} />}
      {last && (
        <p class="last">
          <Icon name={last.state === 'STATE_SUCCEEDED' ? 'ready' : 'attention'} />
          <a href={`#/history/${last.name.replace('deployments/', '')}`}>
            {t('lastHere', { customer: last.customer.customerId })}
          </a>
        </p>
      )}
    </div>
  );
}
