import type { TextKey } from '../i18n/texts';
import type { Connection } from '../state/model';
import { useApp } from './context';
import { Icon, type IconName } from './Icon';

const VIEWS: { view: 'bench' | 'history' | 'firmware' | 'station'; icon: IconName }[] = [
  { view: 'bench', icon: 'bench' },
  { view: 'history', icon: 'history' },
  { view: 'firmware', icon: 'chip' },
  { view: 'station', icon: 'station' },
];

const CONNECTION: Readonly<Record<Connection, TextKey | null>> = {
  connecting: 'connectionConnecting',
  live: 'connectionLive',
  reconnecting: 'connectionReconnecting',
  restarting: 'connectionRestarting',
  'signed-out': null,
};

export function Header() {
  const { state, t, language, setLanguage, theme, setTheme, sound, setSound, actions, dispatch } = useApp();
  const connection = CONNECTION[state.connection];
  const signedOut = state.connection === 'signed-out';
  return (
    <header class="top">
      <a class="brand" href="#/bench">
        <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
          <path class="brand-arch" d="M4 29V15a12 12 0 0 1 24 0v14z" />
          <path
            class="brand-flame"
            d="M16 11c1 4 6 5.5 6 10.500a6 6 0 0 1-12 0c0-2.500 1.300-4 2.700-5.500.3 1.500 1 2.300 1.800 2.600C13.800 16 14.500 13 16 11z"
          />
        </svg>
        <span class="brand-name">Kiln</span>
        {state.station?.stationId && <span class="brand-station">{state.station.stationId}</span>}
      </a>
      {!signedOut && (
        <nav aria-label={t('mainMenu')}>
          {VIEWS.map(({ view, icon }) => (
            <a
              key={view}
              href={`#/${view}`}
              class="tab"
              aria-current={state.route.view === view ? 'page' : undefined}
            >
              <Icon name={icon} />
              <span>{t(view)}</span>
            </a>
          ))}
        </nav>
      )}
      <div class="tools">
        {connection && (
          <span class={`connection connection-${state.connection}`} data-testid="connection">
            <span class="dot" />
            <span class="connection-text">{t(connection)}</span>
          </span>
        )}
        <button
          type="button"
          class="tool"
          aria-label={sound ? t('soundOff') : t('soundOn')}
          title={sound ? t('soundOff') : t('soundOn')}
          onClick={() => setSound(!sound)}
        >
          <Icon name={sound ? 'sound' : 'mute'} />
        </button>
        <button
          type="button"
          class="tool"
          aria-label={theme === 'dark' ? t('toLight') : t('toDark')}
          title={theme === 'dark' ? t('toLight') : t('toDark')}
          onClick={() => setTheme(theme === 'dark' ? 'light' : 'dark')}
        >
          <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
        </button>
        <button
          type="button"
          class="tool tool-language"
          lang={language === 'th' ? 'en' : 'th'}
          title={t('switchLanguageLabel')}
          onClick={() => setLanguage(language === 'th' ? 'en' : 'th')}
        >
          {t('switchLanguage')}
        </button>
        {state.session?.signInRequired && !signedOut && (
          <button
            type="button"
            class="tool"
            aria-label={t('signOut')}
            title={t('signOut')}
            onClick={() =>
              void actions.client
                .signOut()
                .catch(() => {})
                .then(() => dispatch({ type: 'connection', connection: 'signed-out' }))
            }
          >
            <Icon name="lock" />
          </button>
        )}
      </div>
    </header>
  );
}
