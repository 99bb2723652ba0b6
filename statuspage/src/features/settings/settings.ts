// What whoever looks has chosen, kept in this browser.

export type Settings = {
  /** Where the server is; "" is where this page came from. */
  endpoint: string;
  pingSeconds: number;
  /** The price of a million bytes on the boxes' line; 0 is not known. */
  pricePerMb: number;
  currency: string;
  view: 'table' | 'cards';
};

const KEY = 'lokole-status-settings';
const PLAIN: Settings = { endpoint: '', pingSeconds: 10, pricePerMb: 0, currency: 'FC', view: 'table' };

/** As kept, or as the page comes (`given` is the endpoint that its address names); what makes no sense is left out. */
export function readSettings(given = ''): Settings {
  const kept = parsed(localStorage.getItem(KEY));
  const price = Number(kept.pricePerMb);
  return {
    endpoint: asEndpoint(String(kept.endpoint ?? '')) ?? given,
    pingSeconds: inBounds(Number(kept.pingSeconds ?? PLAIN.pingSeconds)),
    pricePerMb: price > 0 && price < 1e9 ? price : 0,
    currency: String(kept.currency ?? PLAIN.currency).slice(0, 10),
    view: kept.view === 'cards' ? 'cards' : 'table',
  };
}

export function keepSettings(settings: Settings): void {
  localStorage.setItem(KEY, JSON.stringify(settings));
}

/** 1 to 60 seconds. */
export function inBounds(seconds: number): number {
  return Number.isFinite(seconds) ? Math.min(60, Math.max(1, Math.round(seconds))) : PLAIN.pingSeconds;
}

/** An address as requests want it, without a path's end; undefined when it is none that a page may ask. */
export function asEndpoint(text: string): string | undefined {
  try {
    const url = new URL(text.trim());
    return /^https?:$/.test(url.protocol) && !url.username ? `${url.origin}${url.pathname.replace(/\/+$/, '')}` : undefined;
  } catch {
    return undefined;
  }
}

function parsed(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
