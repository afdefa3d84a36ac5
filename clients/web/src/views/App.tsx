import { useEffect, useState } from 'preact/hooks';
import type { Session } from '../api/types';
import { type Language, text } from '../i18n/texts';
import type { Actions } from '../state/actions';
import { lampOf, portCards } from '../state/selectors';
import {
  rememberedLanguage,
  rememberedSound,
  rememberedTheme,
  rememberLanguage,
  rememberSound,
  rememberTheme,
  type Theme,
} from '../state/settings';
import type { Store } from '../state/store';
import { Announcer } from './Announcer';
import { BenchView } from './BenchView';
import { AppContext, type App as AppValue, type LabelContent, useApp } from './context';
import { DeploymentView } from './DeploymentView';
import { FirmwareView } from './FirmwareView';
import { Header } from './Header';
import { HistoryView } from './HistoryView';
import { PrintLabel } from './PrintLabel';
import { SignIn } from './SignIn';
import { StationView } from './StationView';

const darkWanted = () => matchMedia('(prefers-color-scheme: dark)').matches;

export function App({
  store,
  actions,
  onLanguage,
}: {
  store: Store;
  actions: Actions;
  onLanguage: (language: Language) => void;
}) {
  const [state, setState] = useState(store.state);
  const [now, setNow] = useState(() => Date.now());
  const [language, setLanguage] = useState(rememberedLanguage);
  const [theme, setTheme] = useState<Theme>(() => rememberedTheme() ?? (darkWanted() ? 'dark' : 'light'));
  const [sound, setSound] = useState(rememberedSound);
  const [label, setLabel] = useState<LabelContent | null>(null);

  useEffect(() => store.subscribe((_, after) => setState(after)), [store]);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
    onLanguage(language);
  }, [language, onLanguage]);
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  // Until somebody chooses, the page follows the computer.
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => {
      if (rememberedTheme() === null) setTheme(media.matches ? 'dark' : 'light');
    };
    media.addEventListener('change', follow);
    return () => media.removeEventListener('change', follow);
  }, []);
  useEffect(() => {
    if (label === null) return;
    const done = () => setLabel(null);
    addEventListener('afterprint', done, { once: true });
    // After the label is drawn.
    const timer = setTimeout(() => print());
    return () => {
      clearTimeout(timer);
      removeEventListener('afterprint', done);
    };
  }, [label]);

  const lamp = lampOf(state, portCards(state, now));
  useEffect(() => {
    document.title = state.known
      ? `${text(language, LAMP_TITLES[lamp])} · ${state.station?.stationId || 'Kiln'}`
      : 'Kiln';
  }, [lamp, language, state.known, state.station]);

  const app: AppValue = {
    state,
    dispatch: store.dispatch,
    actions,
    t: (key, values) => text(language, key, values),
    language,
    setLanguage: (next) => {
      rememberLanguage(next);
      setLanguage(next);
    },
    theme,
    setTheme: (next) => {
      rememberTheme(next);
      setTheme(next);
    },
    sound,
    setSound: (on) => {
      rememberSound(on);
      setSound(on);
    },
    now,
    mayDeploy: mayDeploy(state.session),
    mayManage: state.session?.role === 'admin',
    print: setLabel,
  };
  return (
    <AppContext.Provider value={app}>
      <a class="skip" href="#main">
        {app.t('skip')}
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        <View />
      </main>
      <Announcer store={store} />
      {label && <PrintLabel label={label} />}
    </AppContext.Provider>
  );
}

function View() {
  const { state } = useApp();
  if (state.connection === 'signed-out') return <SignIn />;
  switch (state.route.view) {
    case 'bench':
      return <BenchView />;
    case 'history':
      return state.route.deployment === null ? (
        <HistoryView />
      ) : (
        <DeploymentView key={state.route.deployment} name={state.route.deployment} />
      );
    case 'firmware':
      return <FirmwareView />;
    case 'station':
      return <StationView />;
  }
}

const LAMP_TITLES = {
  offline: 'lampOffline',
  ready: 'lampReady',
  working: 'lampWorking',
  attention: 'lampAttention',
  fault: 'lampFault',
} as const;

function mayDeploy(session: Session | null): boolean {
  return session?.role === 'operator' || session?.role === 'admin';
}
