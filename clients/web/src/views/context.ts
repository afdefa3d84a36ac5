import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Language, TextKey, Values } from '../i18n/texts';
import type { Actions } from '../state/actions';
import type { Action, State } from '../state/model';
import type { Theme } from '../state/settings';

export interface App {
  state: State;
  dispatch: (action: Action) => void;
  actions: Actions;
  t: (key: TextKey, values?: Values) => string;
  language: Language;
  setLanguage: (language: Language) => void;
  theme: Theme;
  setTheme: (theme: Theme) => void;
  sound: boolean;
  setSound: (on: boolean) => void;
  // Local time in milliseconds; moves once a second.
  now: number;
  // Role operator or more; role admin.
  mayDeploy: boolean;
  mayManage: boolean;
  print: (label: LabelContent) => void;
}

export interface LabelContent {
  customerId: string;
  ssid: string;
  password: string;
  mac: string;
  time: string;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('rendered outside the app');
  return app;
}
