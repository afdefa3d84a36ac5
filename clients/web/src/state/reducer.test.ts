import { describe, expect, test } from 'vitest';
import type { StreamMessage } from '../api/types';
import { batch, board, deployment, NOW, snapshot, succeeded } from '../testing/samples';
import type { Action, State } from './model';
import { initialState, reduce } from './reducer';

const stateAfter = (...actions: Action[]): State => actions.reduce(reduce, initialState());
const stream = (message: StreamMessage): Action => ({ type: 'stream', message, now: NOW });
const opened = (change = {}) => stream({ snapshot: snapshot(change) });

describe('the stream', () => {
  test('a snapshot replaces boards and unended deployments', () => {
    const state = stateAfter(
      opened({ boards: [board('usb-1'), board('usb-2')], deployments: [deployment('a')] }),
      opened({ boards: [board('usb-1')], deployments: [] }),
    );
    expect(Object.keys(state.boards)).toEqual(['usb-1']);
    expect(state.deployments).toEqual({});
    expect(state.known).toBe(true);
  });

  test('a snapshot keeps ended deployments that it no longer carries', () => {
    const state = stateAfter(opened({ deployments: [succeeded('a')] }), opened({ deployments: [] }));
    expect(Object.keys(state.deployments)).toEqual(['deployments/a']);
  });

  test('an event moves the sequence on and changes its deployment', () => {
    const state = stateAfter(
      opened({ deployments: [deployment('a')] }),
      stream({ event: { sequence: '11', deployment: succeeded('a', { sequence: '11' }) } }),
    );
    expect(state.lastSequence).toBe(11);
    expect(state.deployments['deployments/a']?.state).toBe('STATE_SUCCEEDED');
  });

  test('an event that was delivered before changes nothing', () => {
    const before = stateAfter(opened({ lastSequence: '20' }));
    expect(reduce(before, stream({ event: { sequence: '20', board: board('usb-9') } }))).toBe(before);
  });

  test('a batch is what its newest event says', () => {
    const state = stateAfter(
      opened({ batches: [batch('b')] }),
      stream({ event: { sequence: '12', batch: batch('b', { sequence: '12', succeeded: 13 }) } }),
      // The answer to a call that was overtaken.
      { type: 'batch', batch: batch('b', { sequence: '11', state: 'STATE_PAUSED' }) },
    );
    expect(state.batches['batches/b']).toMatchObject({ succeeded: 13, state: 'STATE_ACTIVE' });
  });

  test('after a snapshot with a smaller sequence the smaller one counts', () => {
    const state = stateAfter(
      opened({ lastSequence: '500' }),
      opened({ lastSequence: '3' }),
      stream({ event: { sequence: '4', board: board('usb-7') } }),
    );
    expect(state.boards['usb-7']).toBeDefined();
  });

  test('progress of a running deployment is kept until it ends', () => {
    const running = stateAfter(
      opened({ deployments: [deployment('a')] }),
      stream({ progress: { deployment: 'deployments/a', progressPercent: 55, step: 'STEP_FLASH' } }),
    );
    expect(running.progress['deployments/a']?.progressPercent).toBe(55);
    const ended = reduce(
      running,
      stream({ event: { sequence: '11', deployment: succeeded('a', { sequence: '11' }) } }),
    );
    expect(ended.progress).toEqual({});
  });

  test('progress of a deployment nobody knows is dropped', () => {
    expect(stateAfter(opened(), stream({ progress: { deployment: 'deployments/x' } })).progress).toEqual({});
  });

  test('a remembered port that this station does not have gives way to all ready ports', () => {
    expect(stateAfter({ type: 'target', target: { port: 'usb-1' } }, opened()).target).toEqual({
      port: 'usb-1',
    });
    expect(stateAfter({ type: 'target', target: { port: 'usb-9' } }, opened()).target).toBe('ready');
  });

  test('a heartbeat tells how far the clocks are apart', () => {
    const state = stateAfter(stream({ heartbeat: { time: '2026-11-26T02:00:25Z' } }));
    expect(state.clockOffset).toBe(5000);
  });

  test('an unknown kind of message is ignored', () => {
    const before = stateAfter(opened());
    expect(reduce(before, stream({ surprise: {} } as unknown as StreamMessage))).toBe(before);
  });
});

describe('answers to calls', () => {
  test('an answer that is older than an event does not win over it', () => {
    const state = stateAfter(
      opened(),
      stream({ event: { sequence: '12', deployment: succeeded('a', { sequence: '12' }) } }),
      { type: 'order-accepted', deployment: deployment('a', { state: 'STATE_PENDING', sequence: '11' }) },
    );
    expect(state.deployments['deployments/a']?.state).toBe('STATE_SUCCEEDED');
  });

  test('another attempt brings a dismissed panel back and forgets its error', () => {
    const failed = deployment('a', { state: 'STATE_FAILED', sequence: '11' });
    const state = stateAfter(
      opened({ deployments: [failed] }),
      { type: 'dismiss', deployment: failed.name },
      { type: 'deployments', deployments: [deployment('a', { attempt: 2, sequence: '12' })] },
    );
    expect(state.dismissed).toEqual({});
  });

  test('long days do not fill the memory: the oldest ended deployments go first', () => {
    const many = Array.from({ length: 2100 }, (_, i) => succeeded(String(i), { sequence: String(i + 1) }));
    const state = stateAfter(opened({ deployments: [deployment('live', { sequence: '1' })] }), {
      type: 'deployments',
      deployments: many,
    });
    expect(Object.keys(state.deployments)).toHaveLength(2000);
    expect(state.deployments['deployments/live']).toBeDefined();
    expect(state.deployments['deployments/0']).toBeUndefined();
    expect(state.deployments['deployments/2099']).toBeDefined();
  });
});

describe('bundles', () => {
  const bundle = (id: string, state: 'STATE_ACTIVE' | 'STATE_RETIRED' = 'STATE_ACTIVE') => ({
    name: `bundles/${id}`,
    id,
    state,
  });

  test('the remembered choice stays while it is in use', () => {
    const state = stateAfter(
      { type: 'bundle', bundle: 'bundles/old' },
      { type: 'bundles', bundles: [bundle('new'), bundle('old')] },
    );
    expect(state.bundle).toBe('bundles/old');
  });

  test('a retired choice gives way to the newest that is in use', () => {
    const state = stateAfter(
      { type: 'bundle', bundle: 'bundles/old' },
      {
        type: 'bundles',
        bundles: [bundle('bad', 'STATE_RETIRED'), bundle('new'), bundle('old', 'STATE_RETIRED')],
      },
    );
    expect(state.bundle).toBe('bundles/new');
  });
});

describe('the form', () => {
  test('the customer id is kept in capitals without blanks', () => {
    expect(stateAfter({ type: 'form-field', field: 'customerId', value: 'bgk 001' }).form.customerId).toBe(
      'BGK001',
    );
  });

  test('"deploy another" clears form, error and result', () => {
    const state = stateAfter(
      opened({ deployments: [succeeded('a')] }),
      { type: 'form-field', field: 'organization', value: 'x' },
      { type: 'revealed', deployment: 'deployments/a', password: 'secret' },
      { type: 'new-deployment', dismiss: 'deployments/a' },
    );
    expect(state.form.organization).toBe('');
    expect(state.dismissed).toEqual({ 'deployments/a': true });
    expect(state.revealed).toEqual({});
  });

  test('a change to the form forgets what an earlier press left unsent', () => {
    const order = { requestId: 'r', customer: succeeded('a').customer, bundle: 'b', port: 'any' };
    const state = stateAfter(
      { type: 'order-error', error: null, unsent: [order] },
      { type: 'form-field', field: 'organization', value: 'other' },
    );
    expect(state.order.unsent).toEqual([]);
  });
});
