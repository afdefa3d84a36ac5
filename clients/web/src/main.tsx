import { render } from 'preact';
import { ApiError, Client } from './api/client';
import { EventStream } from './api/stream';
import { parseRoute } from './route';
import { Actions } from './state/actions';
import { ProgressGatherer } from './state/gather';
import type { Connection } from './state/model';
import { initialState } from './state/reducer';
import { rememberChoices, rememberedChoices, rememberedLanguage } from './state/settings';
import { Store } from './state/store';
import './styles/index.css';
import { App } from './views/App';

// Composition only: store, client, stream, page.
const store = new Store({
  ...initialState(rememberedChoices()),
  route: parseRoute(location.hash),
});
let language = rememberedLanguage();
const signedOut = () => store.dispatch({ type: 'connection', connection: 'signed-out' });
const client = new Client(() => language, signedOut);
const actions = new Actions(store, client);

// Why there is no stream: nobody answers, the gateway answers for a daemon that does not, or we are nobody.
async function diagnose(): Promise<Connection> {
  try {
    await client.health();
    return 'reconnecting';
  } catch (error) {
    if (!(error instanceof ApiError) || error.unanswered) return 'reconnecting';
    return error.status === 401 ? 'signed-out' : 'restarting';
  }
}

const gatherer = new ProgressGatherer((progress) =>
  store.dispatch({ type: 'stream', message: { progress }, now: Date.now() }),
);
const stream = new EventStream(
  '/v1/events/stream',
  {
    onMessage: (message) => {
      if ('progress' in message) gatherer.add(message.progress);
      else store.dispatch({ type: 'stream', message, now: Date.now() });
    },
    onConnection: (connection) => store.dispatch({ type: 'connection', connection }),
  },
  diagnose,
);

store.subscribe((before, after) => {
  rememberChoices(before, after);
  if (before.connection === after.connection) return;
  // Whatever happened while nobody listened.
  if (after.connection === 'live') void loadSession().finally(() => actions.refresh());
  if (after.connection === 'signed-out') stream.stop();
  if (before.connection === 'signed-out') stream.start();
});
addEventListener('hashchange', () => {
  store.dispatch({ type: 'route', route: parseRoute(location.hash) });
  scrollTo(0, 0);
});
addEventListener('online', () => stream.nudge());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') stream.nudge();
});

// Who we are decides which buttons there are. 401 has signed us out already; any other failure is the stream's to
// find out, and the next connection asks again.
async function loadSession(): Promise<void> {
  try {
    const session = await client.session();
    store.dispatch({ type: 'session', session });
    if (session.signInRequired && session.role === null) signedOut();
  } catch {
    // As said.
  }
}

const root = document.getElementById('app');
if (root) {
  render(
    <App
      store={store}
      actions={actions}
      onLanguage={(next) => {
        language = next;
      }}
    />,
    root,
  );
}
void loadSession().then(() => {
  if (store.state.connection !== 'signed-out') stream.start();
});
