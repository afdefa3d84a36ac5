// Progress comes several times a second from every port; people and old computers need four pictures a second.
import type { Progress } from '../api/types';

const PERIOD_MS = 250;

// Passes the newest progress of each deployment on, all together, at most every 250 ms.
export class ProgressGatherer {
  private readonly newest = new Map<string, Progress>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly deliver: (progress: Progress) => void) {}

  add(progress: Progress): void {
    this.newest.set(progress.deployment, progress);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const gathered = [...this.newest.values()];
      this.newest.clear();
      for (const one of gathered) this.deliver(one);
    }, PERIOD_MS);
  }
}
