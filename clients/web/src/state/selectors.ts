// Answers for the views, computed from the state alone.
import type { Batch, Board, Deployment, Failure, Step } from '../api/types';
import { STEPS } from '../api/types';
import type { State } from './model';
import { isEnded } from './reducer';

// What a port's card is about.
export type CardMode =
  | 'absent'
  | 'ready'
  | 'unusable'
  | 'waiting'
  | 'working'
  | 'done'
  | 'failed'
  | 'canceled';

export interface PortCard {
  board: Board;
  label: string;
  mode: CardMode;
  // The deployment the card shows; null in the modes that have none.
  deployment: Deployment | null;
  // The last one here that ended, for a line below; null when the card shows it in full.
  last: Deployment | null;
  // Whether "all ready ports" means this one: a board that is no finished product of ours, and no open question.
  blank: boolean;
}

// A result stays until somebody puts it away, but never into the next shift.
const RESULT_MS = 12 * 3600 * 1000;
// A board re-enumerates while it boots: only what arrives later than this is a new board.
const REPLUG_GRACE_MS = 15_000;

export function portLabel(board: { alias?: string; port: string }): string {
  return board.alias ? board.alias : board.port;
}

export function portCards(state: State, now: number): PortCard[] {
  const newest = new Map<string, Deployment>();
  for (const deployment of Object.values(state.deployments)) {
    const port = portOf(deployment, state);
    if (port === null) continue;
    const other = newest.get(port);
    if (!other || comesBefore(other, deployment)) newest.set(port, deployment);
  }
  return Object.values(state.boards)
    .map((board) => cardOf(state, board, newest.get(board.port) ?? null, now))
    .sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }));
}

function portOf(deployment: Deployment, state: State): string | null {
  if (deployment.port) return deployment.port;
  const wanted = deployment.requestedPort;
  if (!wanted || wanted === 'any') return null;
  if (wanted in state.boards) return wanted;
  return Object.values(state.boards).find((board) => board.alias === wanted)?.port ?? null;
}

// Running before waiting before ended; of two alike, waiting ones in order and ended ones newest first.
function comesBefore(shown: Deployment, candidate: Deployment): boolean {
  const rank = (deployment: Deployment) =>
    deployment.state === 'STATE_RUNNING' ? 2 : deployment.state === 'STATE_PENDING' ? 1 : 0;
  if (rank(shown) !== rank(candidate)) return rank(candidate) > rank(shown);
  const newer = Number(candidate.sequence ?? 0) > Number(shown.sequence ?? 0);
  return rank(shown) === 0 ? newer : !newer;
}

function cardOf(state: State, board: Board, deployment: Deployment | null, now: number): PortCard {
  const card = { board, label: portLabel(board), deployment, last: null, blank: false };
  if (deployment?.state === 'STATE_RUNNING') return { ...card, mode: 'working' };
  if (deployment?.state === 'STATE_PENDING') return { ...card, mode: 'waiting' };
  if (deployment && isShown(state, board, deployment, now)) return { ...card, mode: endedMode(deployment) };
  const last = deployment && isRecent(state, deployment, now) ? deployment : null;
  const mode =
    board.state === 'STATE_UNUSABLE' ? 'unusable' : board.state === 'STATE_ABSENT' ? 'absent' : 'ready';
  const finished = deployment?.state === 'STATE_SUCCEEDED' && !isNextBoard(board, deployment);
  return { ...card, deployment: null, last, mode, blank: board.state === 'STATE_READY' && !finished };
}

function endedMode(deployment: Deployment): CardMode {
  if (deployment.state === 'STATE_SUCCEEDED') return 'done';
  return deployment.state === 'STATE_CANCELED' ? 'canceled' : 'failed';
}

function isShown(state: State, board: Board, deployment: Deployment, now: number): boolean {
  if (deployment.name in state.dismissed || !isRecent(state, deployment, now)) return false;
  // A failure stays when its board is plugged in again: that is what its tips ask for.
  return !(deployment.state === 'STATE_SUCCEEDED' && isNextBoard(board, deployment));
}

// Whether the board at the port came after the deployment had ended.
function isNextBoard(board: Board, deployment: Deployment): boolean {
  const ended = Date.parse(deployment.endTime ?? '');
  return board.state !== 'STATE_ABSENT' && Date.parse(board.changeTime ?? '') > ended + REPLUG_GRACE_MS;
}

function isRecent(state: State, deployment: Deployment, now: number): boolean {
  const ended = Date.parse(deployment.endTime ?? deployment.updateTime ?? '');
  return Number.isNaN(ended) || now + state.clockOffset - ended < RESULT_MS;
}

// Waiting for any port, oldest first.
export function waitingForAny(state: State): Deployment[] {
  return Object.values(state.deployments)
    .filter((deployment) => deployment.state === 'STATE_PENDING' && portOf(deployment, state) === null)
    .sort((a, b) => Number(a.sequence ?? 0) - Number(b.sequence ?? 0));
}

// How long a batch that is over stays on the bench: long enough to read its counts.
const BATCH_OVER_MS = 10 * 60 * 1000;

// The standing orders of now, oldest first.
export function shownBatches(state: State, now: number): Batch[] {
  return Object.values(state.batches)
    .filter((batch) => {
      if (batch.state === 'STATE_ACTIVE' || batch.state === 'STATE_PAUSED') return true;
      return now + state.clockOffset - Date.parse(batch.endTime ?? '') < BATCH_OVER_MS;
    })
    .sort((a, b) => Date.parse(a.createTime ?? '') - Date.parse(b.createTime ?? ''));
}

export type Lamp = 'offline' | 'ready' | 'working' | 'attention' | 'fault';

export function lampOf(state: State, cards: PortCard[]): Lamp {
  if (!state.known || state.connection !== 'live') return 'offline';
  if (state.health?.level === 'LEVEL_UNHEALTHY') return 'fault';
  if (cards.some(needsSomebody)) return 'attention';
  if (cards.some((card) => card.mode === 'working')) return 'working';
  return 'ready';
}

export function needsSomebody(card: PortCard): boolean {
  if (card.mode === 'failed' || card.mode === 'unusable') return true;
  return card.mode === 'waiting' && card.board.state === 'STATE_ABSENT';
}

export interface Today {
  succeeded: number;
  failed: number;
  // Of all that ended today, the share that succeeded at the first attempt; null before the first.
  firstPassYield: number | null;
}

export function todayOf(state: State, now: number): Today {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const ended = Object.values(state.deployments).filter(
    (deployment) =>
      deployment.state !== 'STATE_CANCELED' &&
      isEnded(deployment) &&
      Date.parse(deployment.endTime ?? '') >= midnight.getTime(),
  );
  const succeeded = ended.filter((deployment) => deployment.state === 'STATE_SUCCEEDED');
  const first = succeeded.filter((deployment) => (deployment.attempt ?? 1) <= 1).length;
  return {
    succeeded: succeeded.length,
    failed: ended.length - succeeded.length,
    firstPassYield: ended.length === 0 ? null : first / ended.length,
  };
}

export interface Live {
  step: Step | null;
  percent: number;
  bytesPerSecond: number | null;
  elapsedMs: number | null;
  remainingMs: number | null;
}

// Below these a guess of the remaining time says nothing.
const GUESS_AFTER_PERCENT = 8;
const GUESS_AFTER_MS = 2000;

export function liveOf(state: State, deployment: Deployment, now: number): Live {
  const progress = state.progress[deployment.name];
  const step = knownStep(progress?.step) ?? knownStep(deployment.step);
  const percent = Math.max(progress?.progressPercent ?? 0, deployment.progressPercent ?? 0);
  const started = Date.parse(deployment.startTime ?? '');
  const until = deployment.endTime ? Date.parse(deployment.endTime) : now + state.clockOffset;
  const elapsedMs = Number.isNaN(started) ? null : Math.max(0, until - started);
  const rate = Number(progress?.bytesPerSecond ?? 0);
  const guess = elapsedMs !== null && elapsedMs >= GUESS_AFTER_MS && percent >= GUESS_AFTER_PERCENT;
  return {
    step,
    percent,
    bytesPerSecond: rate > 0 ? rate : null,
    elapsedMs,
    remainingMs:
      guess && elapsedMs !== null && percent < 100 ? (elapsedMs * (100 - percent)) / percent : null,
  };
}

function knownStep(name: string | undefined): Step | null {
  return STEPS.find((step) => step === name) ?? null;
}

// The ports one press of Deploy is about. Boards whose chip is known to be another one than the bundle's are left
// out of "all ready ports".
export function targetPorts(state: State, cards: PortCard[]): string[] {
  const { target } = state;
  if (target === 'any') return ['any'];
  if (target !== 'ready') return target.port in state.boards ? [target.port] : [];
  const chip = state.bundles[state.bundle]?.chip ?? '';
  return cards
    .filter(({ board, blank }) => blank && (!chip || !board.chip || board.chip === chip))
    .map(({ board }) => board.port);
}

export type Advice =
  | { text: 'adviceOffline' | 'adviceRestarting' | 'adviceConnecting' }
  | { text: 'adviceFault'; check: string }
  | { text: 'adviceFailed' | 'adviceUnusable'; port: string; failure: Failure | null }
  | { text: 'advicePlugInAt'; port: string }
  | { text: 'adviceDone'; port: string }
  | { text: 'adviceWorking'; ports: string }
  | {
      text:
        | 'adviceNoBundle'
        | 'advicePlugInAny'
        | 'adviceFillForm'
        | 'advicePlugIn'
        | 'advicePress'
        | 'adviceWatch';
    };

// The one sentence: what the person should do next.
export function adviceOf(state: State, cards: PortCard[], formReady: boolean, mayDeploy: boolean): Advice {
  if (!state.known) return { text: 'adviceConnecting' };
  if (state.connection === 'restarting') return { text: 'adviceRestarting' };
  if (state.connection !== 'live') return { text: 'adviceOffline' };
  if (state.health?.level === 'LEVEL_UNHEALTHY') {
    const check = state.health.checks?.find((one) => one.critical && !one.ok);
    return { text: 'adviceFault', check: check?.name ?? '' };
  }
  const failed = cards.find((card) => card.mode === 'failed');
  if (failed)
    return { text: 'adviceFailed', port: failed.label, failure: failed.deployment?.failure ?? null };
  const unusable = cards.find((card) => card.mode === 'unusable');
  if (unusable)
    return { text: 'adviceUnusable', port: unusable.label, failure: unusable.board.failure ?? null };
  const empty = cards.find((card) => card.mode === 'waiting' && card.board.state === 'STATE_ABSENT');
  if (empty) return { text: 'advicePlugInAt', port: empty.label };
  if (waitingForAny(state).length > 0) return { text: 'advicePlugInAny' };
  const done = cards.find((card) => card.mode === 'done');
  if (done) return { text: 'adviceDone', port: done.label };
  const working = cards.filter((card) => card.mode === 'working');
  if (working.length > 0)
    return { text: 'adviceWorking', ports: working.map((card) => card.label).join(', ') };
  if (!mayDeploy) return { text: 'adviceWatch' };
  if (state.bundlesKnown && state.bundle === '') return { text: 'adviceNoBundle' };
  if (!formReady) return { text: 'adviceFillForm' };
  if (state.target === 'ready' && !cards.some((card) => card.blank)) return { text: 'advicePlugIn' };
  return { text: 'advicePress' };
}
