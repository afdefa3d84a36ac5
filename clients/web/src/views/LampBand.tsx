import type { TextKey } from '../i18n/texts';
import { type Advice, adviceOf, type Lamp, lampOf, type PortCard, todayOf } from '../state/selectors';
import { type App, useApp } from './context';
import { failureText } from './failure';
import { checkName } from './health';
import { Icon } from './Icon';

const WORDS: Readonly<Record<Lamp, TextKey>> = {
  offline: 'lampOffline',
  ready: 'lampReady',
  working: 'lampWorking',
  attention: 'lampAttention',
  fault: 'lampFault',
};

// The station at a glance, from across the room: colour, icon and word; what to do next; how the day goes.
export function LampBand({ cards, formReady }: { cards: PortCard[]; formReady: boolean }) {
  const app = useApp();
  const { state, t, now, mayDeploy } = app;
  const lamp = lampOf(state, cards);
  const word = lamp === 'offline' && !state.known ? 'lampConnecting' : WORDS[lamp];
  const today = todayOf(state, now);
  return (
    <section class={`lamp lamp-${lamp}`} aria-label={t('stationState')} data-lamp={lamp}>
      <div class="lamp-light">
        <Icon name={lamp} />
      </div>
      <div class="lamp-words">
        <h1 class="lamp-word">{t(word)}</h1>
        <p class="lamp-advice" data-testid="advice">
          {adviceText(app, adviceOf(state, cards, formReady, mayDeploy)).map((sentence) => (
            <span key={sentence}>{sentence} </span>
          ))}
        </p>
      </div>
      <dl class="today" aria-label={t('todaysCount')}>
        <div>
          <dd data-testid="today-count">{today.succeeded}</dd>
          <dt>{t('todayDone')}</dt>
        </div>
        <div>
          <dd>{today.firstPassYield === null ? '–' : `${Math.round(today.firstPassYield * 100)}%`}</dd>
          <dt title={t('firstPassLong')}>{t('firstPass')}</dt>
        </div>
        {today.failed > 0 && (
          <div>
            <dd>{today.failed}</dd>
            <dt>{t('todayFailed')}</dt>
          </div>
        )}
      </dl>
    </section>
  );
}

// One sentence, or what is wrong and the first thing to try: lines break between the two.
function adviceText({ t, language }: App, advice: Advice): string[] {
  switch (advice.text) {
    case 'adviceFault':
      return [t('adviceFault', { check: checkName(t, advice.check) })];
    case 'adviceFailed':
    case 'adviceUnusable': {
      const words = failureText(advice.failure, language);
      const message = words?.message ?? t(advice.text === 'adviceFailed' ? 'statusFailed' : 'modeUnusable');
      return [t(advice.text, { port: advice.port, message }), ...(words?.tips ?? []).slice(0, 1)];
    }
    case 'advicePlugInAt':
    case 'adviceDone':
      return [t(advice.text, { port: advice.port })];
    case 'adviceWorking':
      return [t('adviceWorking', { ports: advice.ports })];
    default:
      return [t(advice.text)];
  }
}
