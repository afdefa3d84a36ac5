import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../api/types';
import { board, deployment, NOW, snapshot, succeeded } from '../testing/samples';
import type { State } from './model';
import { initialState, reduce } from './reducer';
import { adviceOf, lampOf, liveOf, portCards, targetPorts, todayOf, waitingForAny } from './selectors';

function live(change: Partial<Snapshot> = {}, more: Partial<State> = {}): State {
  const known = reduce(initialState(), { type: 'stream', message: { snapshot: snapshot(change) }, now: NOW });
  return { ...known, connection: 'live', ...more };
}
const modes = (state: State) => portCards(state, NOW).map(({ label, mode }) => `${label} ${mode}`);
const lamp = (state: State) => lampOf(state, portCards(state, NOW));
const advice = (state: State, formReady = true) =>
  adviceOf(state, portCards(state, NOW), formReady, true).text;

describe('cards', () => {
  test('are ordered by alias, numbers as numbers', () => {
    const boards = ['A10', 'A2', 'A1'].map((alias, i) => board(`usb-${i}`, { alias }));
    expect(modes(live({ boards }))).toEqual(['A1 ready', 'A2 ready', 'A10 ready']);
  });

  test('a running deployment comes before a waiting one, and that before an ended one', () => {
    const state = live({
      deployments: [
        succeeded('ended', { sequence: '9' }),
        deployment('next', { state: 'STATE_PENDING', sequence: '8' }),
        deployment('now', { sequence: '7' }),
      ],
    });
    expect(portCards(state, NOW)[0]?.deployment?.name).toBe('deployments/now');
  });

  test('a deployment that waits for a port by its alias belongs to that port', () => {
    const state = live({
      boards: [board('usb-1', { alias: 'A1', state: 'STATE_ABSENT' })],
      deployments: [deployment('a', { state: 'STATE_PENDING', port: '', requestedPort: 'A1' })],
    });
    expect(modes(state)).toEqual(['A1 waiting']);
    expect(waitingForAny(state)).toEqual([]);
  });

  test('one that waits for any port belongs to none', () => {
    const state = live({
      deployments: [deployment('a', { state: 'STATE_PENDING', port: '', requestedPort: 'any' })],
    });
    expect(modes(state)).toEqual(['usb-1 ready']);
    expect(waitingForAny(state)).toHaveLength(1);
  });

  test('a result stays when its board is taken away, and goes when the next board comes', () => {
    const deployments = [succeeded('a')];
    const gone = board('usb-1', { state: 'STATE_ABSENT', changeTime: '2026-11-26T02:01:00Z' });
    expect(modes(live({ boards: [gone], deployments }))).toEqual(['usb-1 done']);
    const next = board('usb-1', { changeTime: '2026-11-26T02:01:00Z' });
    expect(modes(live({ boards: [next], deployments }))).toEqual(['usb-1 ready']);
  });

  test('a board that re-enumerates while it boots is no next board', () => {
    const same = board('usb-1', { changeTime: '2026-11-26T02:00:15Z' });
    expect(modes(live({ boards: [same], deployments: [succeeded('a')] }))).toEqual(['usb-1 done']);
  });

  test('a failure stays when the board is plugged in again, until somebody puts it away', () => {
    const failed = deployment('a', { state: 'STATE_FAILED', endTime: '2026-11-26T02:00:10Z' });
    const again = board('usb-1', { changeTime: '2026-11-26T02:00:50Z' });
    const state = live({ boards: [again], deployments: [failed] });
    expect(modes(state)).toEqual(['usb-1 failed']);
    expect(modes(reduce(state, { type: 'dismiss', deployment: failed.name }))).toEqual(['usb-1 ready']);
  });

  test("yesterday's result is a line below a ready port", () => {
    const old = succeeded('a', { endTime: '2026-11-25T01:00:00Z' });
    const [card] = portCards(live({ deployments: [old] }), NOW);
    expect(card?.mode).toBe('ready');
    expect(card?.last).toBeNull();
  });
});

describe('all ready ports', () => {
  test('are those with a board that is no finished product and no open question', () => {
    const boards = [1, 2, 3, 4].map((n) => board(`usb-${n}`, n === 4 ? { state: 'STATE_ABSENT' } : {}));
    const state = live({
      boards,
      deployments: [
        succeeded('a', { port: 'usb-1' }),
        deployment('b', { port: 'usb-2', state: 'STATE_FAILED', endTime: '2026-11-26T02:00:10Z' }),
      ],
    });
    expect(targetPorts(state, portCards(state, NOW))).toEqual(['usb-3']);
    const putAway = reduce(state, { type: 'dismiss', deployment: 'deployments/a' });
    expect(targetPorts(putAway, portCards(putAway, NOW))).toEqual(['usb-3']);
  });

  test('leave out boards whose chip is known to be another one', () => {
    const state = live(
      { boards: [board('usb-1', { chip: 'ESP32' }), board('usb-2', { chip: 'ESP32-C3' }), board('usb-3')] },
      { bundle: 'bundles/b', bundles: { 'bundles/b': { name: 'bundles/b', id: 'b', chip: 'ESP32-C3' } } },
    );
    expect(targetPorts(state, portCards(state, NOW))).toEqual(['usb-2', 'usb-3']);
  });

  test('a port that is gone is no target', () => {
    const state = live({}, { target: { port: 'usb-9' } });
    expect(targetPorts(state, portCards(state, NOW))).toEqual([]);
  });
});

describe('the lamp', () => {
  const failed = deployment('f', { state: 'STATE_FAILED', port: 'usb-2', endTime: '2026-11-26T02:00:10Z' });
  const boards = [board('usb-1'), board('usb-2')];
  const bad = { level: 'LEVEL_UNHEALTHY', checks: [{ name: 'disk', critical: true, ok: false }] } as const;

  test.each([
    ['ready', live()],
    ['working', live({ deployments: [deployment('a')] })],
    ['attention', live({ boards, deployments: [deployment('a'), failed] })],
    ['attention', live({ boards: [board('usb-1', { state: 'STATE_UNUSABLE' })] })],
    [
      'attention',
      live({
        boards: [board('usb-1', { state: 'STATE_ABSENT' })],
        deployments: [deployment('a', { state: 'STATE_PENDING' })],
      }),
    ],
    ['fault', live({ boards, deployments: [failed], health: { ...bad, checks: [...bad.checks] } })],
    ['offline', live({}, { connection: 'restarting' })],
    ['offline', initialState()],
  ] as const)('is %s', (expected, state) => {
    expect(lamp(state)).toBe(expected);
  });
});

describe('the advice', () => {
  test.each([
    ['adviceConnecting', initialState(), true],
    ['adviceRestarting', live({}, { connection: 'restarting' }), true],
    ['adviceOffline', live({}, { connection: 'reconnecting' }), true],
    ['adviceFillForm', live(), false],
    ['advicePress', live(), true],
    ['adviceNoBundle', live({}, { bundlesKnown: true }), true],
    ['advicePlugIn', live({ boards: [board('usb-1', { state: 'STATE_ABSENT' })] }), true],
    ['adviceWorking', live({ deployments: [deployment('a')] }), true],
    ['adviceDone', live({ deployments: [succeeded('a')] }), true],
    [
      'advicePlugInAny',
      live({ deployments: [deployment('a', { state: 'STATE_PENDING', port: '', requestedPort: 'any' })] }),
      true,
    ],
    [
      'adviceFailed',
      live({
        deployments: [deployment('a', { state: 'STATE_NEEDS_ATTENTION', endTime: '2026-11-26T02:00:10Z' })],
      }),
      true,
    ],
  ] as const)('is %s', (expected, state, formReady) => {
    expect(advice(state, formReady)).toBe(expected);
  });
});

test('today counts what ended since midnight; the yield counts first attempts only', () => {
  const state = live({
    deployments: [
      succeeded('a'),
      succeeded('b', { attempt: 2 }),
      deployment('c', { state: 'STATE_FAILED', endTime: '2026-11-26T02:00:10Z' }),
      deployment('d', { state: 'STATE_CANCELED', endTime: '2026-11-26T02:00:10Z' }),
      succeeded('old', { endTime: '2026-11-20T02:00:10Z' }),
    ],
  });
  expect(todayOf(state, NOW)).toEqual({ succeeded: 2, failed: 1, firstPassYield: 1 / 3 });
});

test("live figures: the larger percentage, elapsed by the station's clock, a guess of what remains", () => {
  const running = deployment('a', { progressPercent: 40 });
  const state = {
    ...live({ deployments: [running] }),
    clockOffset: 1000,
    progress: {
      [running.name]: {
        deployment: running.name,
        progressPercent: 50,
        bytesPerSecond: '1000',
        step: 'STEP_FLASH' as const,
      },
    },
  };
  expect(liveOf(state, running, NOW)).toEqual({
    step: 'STEP_FLASH',
    percent: 50,
    bytesPerSecond: 1000,
    elapsedMs: 20_000,
    remainingMs: 20_000,
  });
});
