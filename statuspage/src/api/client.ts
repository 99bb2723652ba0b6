// The server as this page asks it: typed by its OpenAPI document (schema.d.ts is generated), with what can go wrong in words.
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

export type Box = components['schemas']['Box'];
export type Day = components['schemas']['Days'][number];
export type Details = components['schemas']['Details'];
export type Problem = components['schemas']['Problem'];

/** Why an answer did not come: `status` is 0 when nothing answered, `words` are for people. */
export class Trouble extends Error {
  readonly status: number;
  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

/** Milliseconds after which an answer is no longer waited for. */
const PATIENCE = 30_000;

export type Server = ReturnType<typeof connect>;

/** The server at `endpoint` ("" is where the page came from), asked with `authorization`, a header's value. */
export function connect(endpoint: string, authorization: string) {
  const client = createClient<paths>({
    baseUrl: endpoint || window.location.origin,
    credentials: 'omit',
    headers: authorization ? { Authorization: authorization } : {},
    fetch: (request: Request) =>
      fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE)]), cache: 'no-store' }),
  });
  return {
    boxes: (signal?: AbortSignal) => told(client.GET('/api/email/metrics/boxes', { signal })),
    box: (domain: string, signal?: AbortSignal) =>
      told(client.GET('/api/email/metrics/boxes/{domain}', { params: { path: { domain } }, signal })),
    details: (domain: string, signal?: AbortSignal) =>
      told(client.GET('/api/email/register/{domain}', { params: { path: { domain } }, signal })),
    register: (domain: string) => told(client.POST('/api/email/register/', { body: { domain } })),
    remove: (domain: string) =>
      told(client.DELETE('/api/email/register/{domain}', { params: { path: { domain } } })),
    revoke: (domain: string) =>
      told(client.DELETE('/api/email/register/{domain}/keys', { params: { path: { domain } } })),
    beginGithub: () => told(client.POST('/api/email/github/device')),
    finishGithub: (device_code: string) => told(client.POST('/api/email/github/token', { body: { device_code } })),
  };
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** What was answered; throws Trouble, and what an aborted request throws. */
export async function told<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch (error) {
    throw asTrouble(error);
  }
  if (answer.data !== undefined && answer.response.ok) return answer.data;
  throw new Trouble(answer.response.status, inWords(answer.response, answer.error as Problem | undefined));
}

function asTrouble(error: unknown): unknown {
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError') return error;
  if (name === 'TimeoutError') return new Trouble(0, 'The server did not answer within half a minute.');
  if (error instanceof SyntaxError) return new Trouble(0, 'What answered there is not a Lokole server.');
  if (!navigator.onLine) return new Trouble(0, 'This computer has no line to the internet.');
  return new Trouble(0, 'The server does not answer.');
}

function inWords(response: Response, problem: Problem | undefined): string {
  if (response.status === 401) return 'The server does not know this token, or this name and password.';
  if (response.status === 429) {
    const seconds = Number(response.headers.get('Retry-After'));
    return `Too many wrong tries. Try again ${seconds > 0 ? `in ${seconds} seconds` : 'later'}.`;
  }
  if (response.status >= 500) return `The server has a fault (${response.status}). ${sentence(problem?.detail)}`.trim();
  return sentence(problem?.detail) || `The server refused it (${response.status}).`;
}

function sentence(text: string | undefined): string {
  return text ? `${text[0]!.toUpperCase()}${text.slice(1).replace(/\.$/, '')}.` : '';
}
