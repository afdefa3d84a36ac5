import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Connection } from '../state/model';
import { EventStream } from './stream';
import type { StreamMessage } from './types';

// Browsers' EventSource, opened and closed by the test.
class FakeSource extends EventTarget {
  static all: FakeSource[] = [];
  closed = false;
  constructor(readonly url: string) {
    super();
    FakeSource.all.push(this);
  }
  close() {
    this.closed = true;
  }
  say(kind: string, data: unknown) {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
  }
  fail() {
    this.dispatchEvent(new Event('error'));
  }
}

let messages: StreamMessage[];
let connections: Connection[];
let reason: Connection;
let stream: EventStream;
const newest = () => FakeSource.all[FakeSource.all.length - 1] as FakeSource;
const open = () => FakeSource.all.filter((source) => !source.closed).length;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', FakeSource);
  FakeSource.all = [];
  messages = [];
  connections = [];
  reason = 'reconnecting';
  stream = new EventStream(
    '/stream',
    { onMessage: (message) => messages.push(message), onConnection: (one) => connections.push(one) },
    async () => reason,
  );
  stream.start();
});
afterEach(() => {
  stream.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('passes messages on, and tells that the connection lives', () => {
  newest().say('snapshot', { snapshot: { lastSequence: '3' } });
  newest().say('event', { event: { sequence: '4' } });
  expect(messages).toEqual([{ snapshot: { lastSequence: '3' } }, { event: { sequence: '4' } }]);
  expect(connections).toEqual(['live', 'live']);
});

test('a lost connection is opened anew, with longer and longer pauses', async () => {
  newest().fail();
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeSource.all).toHaveLength(2);
  newest().fail();
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeSource.all).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeSource.all).toHaveLength(3);
  expect(open()).toBe(1);
  expect(connections).toEqual(['reconnecting', 'reconnecting']);
});

test('pauses never grow beyond five seconds, and begin anew after a message', async () => {
  for (let i = 0; i < 10; i++) {
    newest().fail();
    await vi.advanceTimersByTimeAsync(5000);
  }
  expect(FakeSource.all).toHaveLength(11);
  newest().say('heartbeat', { heartbeat: {} });
  newest().fail();
  await vi.advanceTimersByTimeAsync(500);
  expect(FakeSource.all).toHaveLength(12);
});

test("the gateway's word that the station is away keeps the connection", () => {
  newest().say('error', { code: 'STATION_UNREACHABLE' });
  expect(connections).toEqual(['restarting']);
  expect(open()).toBe(1);
  newest().say('event', { event: { sequence: '5' } });
  expect(connections).toEqual(['restarting', 'live']);
});

test('silence longer than two heartbeats is a dead connection', async () => {
  newest().say('heartbeat', { heartbeat: {} });
  await vi.advanceTimersByTimeAsync(24_000);
  newest().say('heartbeat', { heartbeat: {} });
  await vi.advanceTimersByTimeAsync(24_000);
  expect(FakeSource.all).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(FakeSource.all).toHaveLength(2);
  expect(open()).toBe(1);
});

test('a nudge during a pause opens at once', async () => {
  newest().fail();
  stream.nudge();
  expect(FakeSource.all).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(FakeSource.all).toHaveLength(2);
});

test('after stop nothing is opened any more', async () => {
  const source = newest();
  source.fail();
  stream.stop();
  stream.nudge();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSource.all).toHaveLength(1);
  expect(open()).toBe(0);
});

test('says why there is no stream: somebody who is signed out is not told to wait', async () => {
  reason = 'signed-out';
  newest().fail();
  await vi.advanceTimersByTimeAsync(0);
  expect(connections).toEqual(['signed-out']);
});
