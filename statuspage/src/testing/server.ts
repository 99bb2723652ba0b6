// A server that answers as ours does, in place of `fetch`: what was asked is kept, what is answered can be changed.
import { vi } from 'vitest';
import type { Box, Day } from '../api/client';

export type Asked = { method: string; path: string; authorization: string | null; body: unknown };
export type Answer = { status?: number; body?: unknown; headers?: Record<string, string> } | 'no line' | 'never';

export function box(domain: string, changes: Partial<Box> = {}): Box {
  return {
    domain, state: 'claimed', people: 3, waiting: 0, waiting_bytes: 0, last_visit: new Date().toISOString(), nights_missed: 0,
    sentence: '0 missing of 40 in 30 days', health: { version: '1.2.0', reads: [0, 1] }, health_at: null, twin_seen: null,
    traffic: { letters_up: 6, letters_down: 4, bytes_up: 6000, bytes_down: 14000 },
    ...changes,
  };
}

export const days: Day[] = [1, 2, 3].map((n) => ({ day: `2026-03-0${n}`, boxes: 1, letters_up: n, letters_down: 0, bytes_up: n * 1000, bytes_down: 0 }));

export const RIGHT = 'a token that is right';

export class FakeServer {
  boxes: Box[] = [];
  asked: Asked[] = [];
  /** Answers given instead, by "METHOD /path". */
  instead = new Map<string, Answer>();

  constructor() {
    vi.stubGlobal('fetch', (input: Request | string, init?: RequestInit) => this.fetch(input, init));
  }

  count(method: string, path: string): number {
    return this.asked.filter((one) => one.method === method && one.path === path).length;
  }

  private async fetch(input: Request | string, init?: RequestInit): Promise<Response> {
    const request = input instanceof Request ? input : new Request(new URL(input, 'http://server.test'));
    const path = new URL(request.url).pathname;
    const text = request.method === 'POST' ? await request.text() : '';
    const asked = { method: request.method, path, authorization: request.headers.get('Authorization'), body: text ? JSON.parse(text) : undefined };
    this.asked.push(asked);
    const answer = this.instead.get(`${asked.method} ${path}`) ?? this.answer(asked);
    if (answer === 'no line') throw new TypeError('Failed to fetch');
    if (answer === 'never') {
      return new Promise((_, fail) => init?.signal?.addEventListener('abort', () => fail(init.signal!.reason as Error)));
    }
    return new Response(JSON.stringify(answer.body ?? null), { status: answer.status ?? 200, headers: { 'Content-Type': 'application/json', ...answer.headers } });
  }

  private answer({ method, path, authorization, body }: Asked): Answer {
    if (path.endsWith('/healthcheck/ping')) return { body: 'pong' };
    if (path === '/healthcheck/ready') return { body: 'ready' };
    if (authorization !== `Bearer ${RIGHT}` && authorization !== `Basic ${btoa('operator:secret')}`) {
      return { status: 401, body: { title: 'Unauthorized', status: 401 } };
    }
    if (path === '/api/email/metrics/boxes') return { body: { caller: { name: 'operator', sees_all: true }, boxes: this.boxes, days } };
    const domain = decodeURIComponent(path.split('/')[4] ?? '');
    const found = this.boxes.find((one) => one.domain === domain || path.endsWith(`/boxes/${one.domain}`));
    if (path.startsWith('/api/email/metrics/boxes/')) return found ? { body: { ...found, days } } : { status: 404, body: { title: 'Not Found', status: 404 } };
    if (method === 'POST' && path === '/api/email/register/') {
      this.boxes = [...this.boxes, box((body as { domain: string }).domain, { state: 'waiting', last_visit: null, health: {} })];
      return { status: 201, body: 'accepted' };
    }
    if (method === 'DELETE' && path.endsWith('/keys')) return { body: { client_id: 'x', domain, code: 'new1-code-new1-code' } };
    if (method === 'DELETE') {
      this.boxes = this.boxes.filter((one) => one.domain !== domain);
      return { body: 'deleted' };
    }
    return { body: { client_id: 'x', domain, code: 'aaaa-bbbb-cccc-dddd' } };
  }
}
