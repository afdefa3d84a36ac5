import { expect, test } from 'vitest';
import { board, deployment, NOW, snapshot, succeeded } from '../testing/samples';
import { stageChanges } from './announce';
import { initialState, reduce } from './reducer';

const before = reduce(initialState(), {
  type: 'stream',
  message: {
    snapshot: snapshot({ boards: [board('usb-1', { alias: 'A1' })], deployments: [deployment('a')] }),
  },
  now: NOW,
});
const then = (change: Parameters<typeof deployment>[1]) =>
  reduce(before, { type: 'deployments', deployments: [deployment('a', { sequence: '11', ...change })] });

test("another stage is news, by the port's alias", () => {
  expect(stageChanges(before, then({ step: 'STEP_VERIFY' }))).toEqual([
    { deployment: 'deployments/a', port: 'A1', text: 'statusVerify' },
  ]);
});

test('a percentage is no news', () => {
  expect(stageChanges(before, then({ progressPercent: 60 }))).toEqual([]);
});

test('old deployments that were only loaded now are no news', () => {
  const loaded = reduce(before, { type: 'deployments', deployments: [succeeded('old')] });
  expect(stageChanges(before, loaded)).toEqual([]);
});
