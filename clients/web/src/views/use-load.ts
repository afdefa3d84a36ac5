import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api/client';
import { asApiError } from '../state/actions';

export interface Loaded<T> {
  value: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

// What `load` answers; loads again when one of `keys` changes, and keeps the old value meanwhile. An answer that
// was overtaken by a newer question is dropped.
export function useLoad<T>(load: () => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, 'reload'>>({ value: null, error: null, loading: true });
  const asked = useRef(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => {
    const mine = ++asked.current;
    setState((old) => ({ ...old, loading: true }));
    latest.current().then(
      (value) => {
        if (mine === asked.current) setState({ value, error: null, loading: false });
      },
      (error) => {
        if (mine === asked.current) setState((old) => ({ ...old, error: asApiError(error), loading: false }));
      },
    );
  }, []);
  // The caller names what the answer depends on.
  useEffect(reload, keys);
  return { ...state, reload };
}
