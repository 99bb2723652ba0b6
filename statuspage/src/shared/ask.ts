// Asking the server again and again: what it said last stays on the page when it does not answer now.
import { useCallback, useEffect, useState } from 'react';

export type Asked<T> = {
  data: T | undefined;
  error: Error | undefined;
  isAsking: boolean;
  /** Nothing was answered yet, and it takes long. */
  isSlow: boolean;
  again: () => void;
};

const SLOW_MS = 3000;

/** Ask when the page is opened, when `ask` is another function, every `seconds`, and on `again()`; not while nobody looks. */
export function useAsked<T>(ask: (signal: AbortSignal) => Promise<T>, seconds: number): Asked<T> {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ data?: T; error?: Error; isAsking: boolean; isSlow: boolean }>({ isAsking: true, isSlow: false });
  const again = useCallback(() => setRound((n) => n + 1), []);
  useEffect(() => setState({ isAsking: true, isSlow: false }), [ask]);
  useEffect(() => {
    const over = new AbortController();
    const slow = setTimeout(() => setState((now) => ({ ...now, isSlow: true })), SLOW_MS);
    setState((now) => ({ ...now, isAsking: true, isSlow: false }));
    ask(over.signal)
      .then(
        (data) => over.signal.aborted || setState({ data, isAsking: false, isSlow: false }),
        (error: Error) => over.signal.aborted || setState((now) => ({ data: now.data, error, isAsking: false, isSlow: false })),
      )
      .finally(() => clearTimeout(slow));
    return () => {
      clearTimeout(slow);
      over.abort();
    };
  }, [ask, round]);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || again(), seconds * 1000);
    return () => clearInterval(timer);
  }, [again, seconds]);
  return { data: state.data, error: state.error, isAsking: state.isAsking, isSlow: state.isSlow, again };
}
