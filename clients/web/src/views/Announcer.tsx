import { useEffect, useRef, useState } from 'preact/hooks';
import { type StageChange, stageChanges } from '../state/announce';
import type { Store } from '../state/store';
import { useApp } from './context';
import { play } from './sound';

// Often enough to follow, seldom enough to listen to.
const PAUSE_MS = 5000;

// Tells screen readers of stage changes, politely; plays the two tones when sounds are on.
export function Announcer({ store }: { store: Store }) {
  const { t, sound } = useApp();
  const [said, setSaid] = useState('');
  const pending = useRef(new Map<string, StageChange>());
  const latest = useRef({ t, sound });
  latest.current = { t, sound };

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let lastSaid = Number.NEGATIVE_INFINITY;
    const say = () => {
      timer = undefined;
      lastSaid = performance.now();
      const sentences = [...pending.current.values()].map(({ port, text }) =>
        latest.current.t('said', { port, what: latest.current.t(text) }),
      );
      pending.current.clear();
      setSaid(sentences.join(' '));
    };
    const unsubscribe = store.subscribe((before, after) => {
      const changes = stageChanges(before, after);
      if (changes.length === 0) return;
      // Of a deployment that changed twice meanwhile, the newer stage.
      for (const change of changes) pending.current.set(change.deployment, change);
      if (latest.current.sound) {
        if (changes.some(({ text }) => text === 'statusFailed')) play('attention');
        else if (changes.some(({ text }) => text === 'statusDone')) play('done');
      }
      timer ??= setTimeout(say, Math.max(0, lastSaid + PAUSE_MS - performance.now()));
    });
    return () => {
      clearTimeout(timer);
      unsubscribe();
    };
  }, [store]);

  return (
    <div class="unseen" role="status" aria-live="polite" data-testid="announcer">
      {said}
    </div>
  );
}
