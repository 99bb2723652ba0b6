// With what one is signed in. A token stays in this browser until one leaves, a password only as long as the tab is open.

export type Pass = { authorization: string; name: string; way: 'token' | 'password' | 'github' };

const KEY = 'lokole-status-pass';

export function byToken(token: string): string {
  return `Bearer ${token.trim()}`;
}

/** RFC 7617, in UTF-8. */
export function byPassword(name: string, password: string): string {
  const plain = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...plain))}`;
}

export function readPass(): Pass | undefined {
  for (const kept of [sessionStorage, localStorage]) {
    try {
      const value = JSON.parse(kept.getItem(KEY) ?? 'null') as Pass | null;
      if (value?.authorization) return value;
    } catch {
      kept.removeItem(KEY);
    }
  }
  return undefined;
}

export function keepPass(pass: Pass | undefined): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  if (pass) (pass.way === 'password' ? sessionStorage : localStorage).setItem(KEY, JSON.stringify(pass));
}
