import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Progress } from '../api/types';
import { ProgressGatherer } from './gather';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('of each deployment only the newest, all at once, four times a second', () => {
  const delivered: Progress[] = [];
  const gatherer = new ProgressGatherer((progress) => delivered.push(progress));
  for (let percent = 1; percent <= 20; percent++) {
    gatherer.add({ deployment: 'a', progressPercent: percent });
    gatherer.add({ deployment: 'b', progressPercent: percent });
  }
  expect(delivered).toEqual([]);
  vi.advanceTimersByTime(250);
  expect(delivered).toEqual([
    { deployment: 'a', progressPercent: 20 },
    { deployment: 'b', progressPercent: 20 },
  ]);
  vi.advanceTimersByTime(1000);
  expect(delivered).toHaveLength(2);
});
