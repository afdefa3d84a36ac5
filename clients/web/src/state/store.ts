import type { Action, State } from './model';
import { reduce } from './reducer';

type Listener = (before: State, after: State) => void;

// Holds the one state. Listeners are called after every change, in the order they came.
export class Store {
  private listeners = new Set<Listener>();

  constructor(private current: State) {}

  get state(): State {
    return this.current;
  }

  dispatch = (action: Action): void => {
    const before = this.current;
    this.current = reduce(before, action);
    if (this.current === before) return;
    for (const listener of this.listeners) listener(before, this.current);
  };

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
