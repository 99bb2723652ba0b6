// How long a part of the server takes to answer.
import { useEffect, useState } from 'react';

export type Pinged = { state: 'asking' } | { state: 'up' | 'down'; ms: number; at: number };

const PATIENCE = 5000;

/** Milliseconds until `url` answered well; throws when it did not. */
export async function ping(url: string, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const answer = await fetch(url, {
    cache: 'no-store',
    credentials: 'omit',
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
  });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  return performance.now() - began;
}

/** `url`, asked every `seconds`, but not while nobody looks. */
export function usePing(url: string, seconds: number): Pinged {
  const [found, setFound] = useState<Pinged>({ state: 'asking' });
  useEffect(() => {
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const again = async () => {
      if (!document.hidden) {
        const began = performance.now();
        const state = await ping(url, over.signal).then(
          () => 'up' as const,
          () => 'down' as const,
        );
        if (over.signal.aborted) return;
        setFound({ state, ms: performance.now() - began, at: Date.now() });
      }
      timer = setTimeout(again, seconds * 1000);
    };
    setFound({ state: 'asking' });
    void again();
    return () => {
      clearTimeout(timer);
      over.abort();
    };
  }, [url, seconds]);
  return found;
}
