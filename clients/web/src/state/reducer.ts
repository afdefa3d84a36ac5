// What the page knows, as a pure function of what happened. Nothing here looks at a clock, a network or a DOM.
import type { Batch, Board, Deployment, Progress, Snapshot, StationEvent, StreamMessage } from '../api/types';
import { EMPTY_FORM, normalizeCustomerId } from '../form/customer';
import type { Action, OrderState, State } from './model';

// Ended deployments kept in memory; the snapshot brings 100, a long day adds to them.
const MAX_ENDED = 2000;

const IDLE: OrderState = { phase: 'idle', question: null, error: null, unsent: [] };

export function initialState(
  remembered: Partial<Pick<State, 'bundle' | 'target' | 'dismissed'>> = {},
): State {
  return {
    connection: 'connecting',
    session: null,
    route: { view: 'bench' },
    clockOffset: 0,
    lastSequence: 0,
    known: false,
    boards: {},
    deployments: {},
    progress: {},
    batches: {},
    bundles: {},
    bundlesKnown: false,
    health: null,
    station: null,
    form: EMPTY_FORM,
    touched: {},
    bundle: '',
    target: 'ready',
    order: IDLE,
    dismissed: {},
    revealed: {},
    cardErrors: {},
    ...remembered,
  };
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'stream':
      return reduceStream(state, action.message, action.now);
    case 'connection':
      return state.connection === action.connection ? state : { ...state, connection: action.connection };
    case 'session':
      return { ...state, session: action.session };
    case 'route':
      return { ...state, route: action.route };
    case 'deployments':
      return withDeployments(state, action.deployments);
    case 'batch':
      return withBatch(state, action.batch);
    case 'bundles':
      return withBundles(state, action.bundles);
    case 'station':
      return { ...state, station: action.station };
    case 'form-field': {
      const value = action.field === 'customerId' ? normalizeCustomerId(action.value) : action.value;
      return { ...state, form: { ...state.form, [action.field]: value }, order: changed(state.order) };
    }
    case 'form-fill':
      return { ...state, form: { ...state.form, ...action.form }, touched: {}, order: changed(state.order) };
    case 'form-touch':
      return {
        ...state,
        touched: { ...state.touched, ...Object.fromEntries(action.fields.map((field) => [field, true])) },
      };
    case 'bundle':
      return { ...state, bundle: action.bundle, order: changed(state.order) };
    case 'target':
      return { ...state, target: action.target, order: changed(state.order) };
    case 'order-phase':
      return { ...state, order: { ...IDLE, phase: action.phase } };
    case 'order-question':
      return { ...state, order: { ...IDLE, question: action.question } };
    case 'order-error':
      return { ...state, order: { ...IDLE, error: action.error, unsent: action.unsent } };
    case 'order-accepted':
      return withDeployment(state, action.deployment);
    case 'new-deployment':
      return {
        ...dismiss(state, action.dismiss),
        form: EMPTY_FORM,
        touched: {},
        order: IDLE,
      };
    case 'dismiss':
      return dismiss(state, action.deployment);
    case 'revealed':
      return { ...state, revealed: { ...state.revealed, [action.deployment]: action.password } };
    case 'hide':
      return { ...state, revealed: without(state.revealed, action.deployment) };
    case 'card-error':
      return {
        ...state,
        cardErrors: action.error
          ? { ...state.cardErrors, [action.deployment]: action.error }
          : without(state.cardErrors, action.deployment),
      };
  }
}

// The form was changed: what an earlier press left behind is about another order.
function changed(order: OrderState): OrderState {
  return order.phase === 'idle' ? IDLE : order;
}

function reduceStream(state: State, message: StreamMessage, now: number): State {
  if ('snapshot' in message) return withSnapshot(state, message.snapshot);
  if ('event' in message) {
    const sequence = Number(message.event.sequence);
    // Delivery is at least once.
    if (sequence <= state.lastSequence) return state;
    return applyEvent({ ...state, lastSequence: sequence }, message.event);
  }
  if ('progress' in message) return withProgress(state, message.progress);
  if ('heartbeat' in message) {
    const time = Date.parse(message.heartbeat.time ?? '');
    return Number.isNaN(time) ? state : { ...state, clockOffset: time - now };
  }
  // A kind that this page does not know yet.
  return state;
}

function withSnapshot(state: State, snapshot: Snapshot): State {
  const deployments = keyed(snapshot.deployments ?? [], (deployment) => deployment.name);
  // What an older connection knew about deployments that ended is still true, and the snapshot has only the newest
  // of them. Everything unended comes from the snapshot alone.
  const ended = Object.values(state.deployments).filter(
    (deployment) => isEnded(deployment) && !(deployment.name in deployments),
  );
  const boards = keyed(snapshot.boards ?? [], (board) => board.port);
  const { target } = state;
  return {
    ...state,
    known: true,
    lastSequence: Number(snapshot.lastSequence ?? 0),
    boards,
    // A remembered port may be another station's.
    target: typeof target === 'string' || target.port in boards ? target : 'ready',
    deployments: { ...keyed(ended, (deployment) => deployment.name), ...deployments },
    progress: {},
    batches: keyed(snapshot.batches ?? [], (batch) => batch.name),
    health: snapshot.health ?? state.health,
  };
}

function applyEvent(state: State, event: StationEvent): State {
  if (event.deployment) return withDeployment(state, event.deployment);
  if (event.batch) return withBatch(state, event.batch);
  if (event.board) return withBoard(state, event.board);
  if (event.bundle) return { ...state, bundles: { ...state.bundles, [event.bundle.name]: event.bundle } };
  if (event.health) return { ...state, health: event.health };
  return state;
}

function withBoard(state: State, board: Board): State {
  return { ...state, boards: { ...state.boards, [board.port]: board } };
}

// An answer to a call may be older than an event.
function withBatch(state: State, batch: Batch): State {
  if (Number(batch.sequence ?? 0) < Number(state.batches[batch.name]?.sequence ?? 0)) return state;
  return { ...state, batches: { ...state.batches, [batch.name]: batch } };
}

function withDeployment(state: State, deployment: Deployment): State {
  return withDeployments(state, [deployment]);
}

// Of each the newer of what is known and what came: answers to calls may be older than events.
function withDeployments(state: State, came: readonly Deployment[]): State {
  const newer = came.filter(({ name, sequence }) => {
    const known = state.deployments[name];
    return !known || Number(sequence ?? 0) > Number(known.sequence ?? 0);
  });
  if (newer.length === 0) return state;
  let { progress, dismissed, cardErrors } = state;
  for (const deployment of newer) {
    const known = state.deployments[deployment.name];
    const anotherAttempt = known !== undefined && known.attempt !== deployment.attempt;
    if (anotherAttempt || isEnded(deployment)) {
      progress = without(progress, deployment.name);
      cardErrors = without(cardErrors, deployment.name);
    }
    // A new attempt has a panel of its own.
    if (anotherAttempt) dismissed = without(dismissed, deployment.name);
  }
  const deployments = bounded({ ...state.deployments, ...keyed(newer, ({ name }) => name) });
  return { ...state, deployments, progress, dismissed, cardErrors };
}

function withProgress(state: State, progress: Progress): State {
  const deployment = state.deployments[progress.deployment];
  if (deployment?.state !== 'STATE_RUNNING') return state;
  return { ...state, progress: { ...state.progress, [progress.deployment]: progress } };
}

function withBundles(state: State, bundles: State['bundles'][string][]): State {
  const next = { ...state, bundles: keyed(bundles, (bundle) => bundle.name), bundlesKnown: true };
  if (next.bundles[state.bundle]?.state === 'STATE_ACTIVE') return next;
  // Nothing remembered, or retired meanwhile: the newest one; the list is newest first.
  const newest = bundles.find((bundle) => bundle.state === 'STATE_ACTIVE');
  return { ...next, bundle: newest?.name ?? '' };
}

function dismiss(state: State, name: string | null): State {
  if (name === null) return state;
  return {
    ...state,
    dismissed: { ...state.dismissed, [name]: true },
    revealed: without(state.revealed, name),
    cardErrors: without(state.cardErrors, name),
  };
}

// Whether running the same order again makes sense, as far as the station can tell.
export function isRetryable({ state, failure }: Deployment): boolean {
  if (state === 'STATE_CANCELED' || state === 'STATE_NEEDS_ATTENTION') return true;
  return state === 'STATE_FAILED' && failure?.retryable === true;
}

export function isEnded(deployment: Deployment): boolean {
  return deployment.state !== 'STATE_PENDING' && deployment.state !== 'STATE_RUNNING';
}

function bounded(deployments: Record<string, Deployment>): Record<string, Deployment> {
  const all = Object.values(deployments);
  if (all.length <= MAX_ENDED) return deployments;
  const ended = all.filter(isEnded).sort((a, b) => Number(a.sequence ?? 0) - Number(b.sequence ?? 0));
  const dropped = new Set(ended.slice(0, all.length - MAX_ENDED).map((deployment) => deployment.name));
  return keyed(
    all.filter((deployment) => !dropped.has(deployment.name)),
    (deployment) => deployment.name,
  );
}

function keyed<T>(items: readonly T[], key: (item: T) => string): Record<string, T> {
  return Object.fromEntries(items.map((item) => [key(item), item]));
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}
