import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { byToken, keepPass } from '../features/signin/pass';
import { box, FakeServer, RIGHT } from '../testing/server';
import { Page } from './Page';

let server: FakeServer;
beforeEach(() => {
  server = new FakeServer();
});

function signedIn() {
  keepPass({ authorization: byToken(RIGHT), name: 'operator', way: 'token' });
  return render(<Page config={{}} />);
}

describe('signing in', () => {
  test('a token is checked as soon as it is pasted, and kept', async () => {
    render(<Page config={{}} />);
    await userEvent.type(screen.getByLabelText('Token'), 'a token that is wrong');
    await screen.findByText(/does not know this token/, undefined, { timeout: 3000 });
    expect(server.count('GET', '/api/email/metrics/boxes')).toBe(1);
    await userEvent.clear(screen.getByLabelText('Token'));
    await userEvent.type(screen.getByLabelText('Token'), RIGHT);
    await screen.findByText('operator', undefined, { timeout: 3000 });
    expect(localStorage.getItem('lokole-status-pass')).toContain(RIGHT);
  });

  test('a password is kept for this tab only', async () => {
    render(<Page config={{}} />);
    await userEvent.type(screen.getByLabelText('Or a name'), 'operator');
    await userEvent.type(screen.getByLabelText('and its password'), 'secret');
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    await screen.findByText('No box is registered yet.');
    expect(localStorage.getItem('lokole-status-pass')).toBeNull();
    expect(sessionStorage.getItem('lokole-status-pass')).not.toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Leave' }));
    screen.getByLabelText('Token');
    expect(sessionStorage.getItem('lokole-status-pass')).toBeNull();
  });

  test('who is not known any more is asked again', async () => {
    server.boxes = [box('aa.test')];
    keepPass({ authorization: byToken('taken back'), name: 'operator', way: 'token' });
    render(<Page config={{}} />);
    await screen.findByText(/sign in again/);
    screen.getByLabelText('Token');
    expect(localStorage.getItem('lokole-status-pass')).toBeNull();
  });

  test('GitHub is offered where the server has it, and its code is shown', async () => {
    server.instead.set('POST /api/email/github/device', {
      body: { user_code: 'WDJB-0001', device_code: 'x', verification_uri: 'https://github.test/login/device', interval: 1, expires_in: 900 },
    });
    server.instead.set('POST /api/email/github/token', { body: { token: RIGHT, interval: 1 } });
    const shown = render(<Page config={{}} />);
    expect(screen.queryByRole('button', { name: 'Sign in with GitHub' })).toBeNull();
    shown.rerender(<Page config={{ github: true }} />);
    await userEvent.click(screen.getByRole('button', { name: 'Sign in with GitHub' }));
    await screen.findByText('WDJB-0001');
    await screen.findByText('operator', undefined, { timeout: 4000 });
    expect(localStorage.getItem('lokole-status-pass')).toContain('github');
  });

  test('the avatar of somebody of GitHub is that of their login', () => {
    keepPass({ authorization: byToken(RIGHT), name: 'github:octocat', way: 'github' });
    const { container } = render(<Page config={{}} />);
    screen.getByText('octocat');
    expect(container.querySelector('header img')!.getAttribute('src')).toBe('https://github.com/octocat.png?size=64');
  });
});

describe('the boxes', () => {
  test('the urgent one comes first, and says why in words', async () => {
    server.boxes = [box('aa.test'), box('zz.test', { nights_missed: 3 }), box('mm.test', { health: { failed: 'no-link', free: 64 } })];
    signedIn();
    const rows = within(await screen.findByRole('table', { name: 'Boxes' })).getAllByRole('row').slice(1);
    expect(rows.map((row) => within(row).getByRole('rowheader').textContent)).toEqual(['zz.test', 'mm.test', 'aa.test']);
    within(rows[0]!).getByText(/silent for 3 nights/);
    within(rows[1]!).getByText(/last visit failed: no-link/);
    within(rows[1]!).getByText(/only 64 MB free/);
    within(rows[2]!).getByText(/well/);
    screen.getByText('1 box has been silent for a night or longer.');
    within(rows[2]!).getByText('2.0 kB');
  });

  test('what the machine of a box says of itself stands there in words', async () => {
    server.boxes = [box('aa.test', { health: { card: 4, power: 'low', signal: 20, oldest: 8, copied: 64 } })];
    signedIn();
    const table = within(await screen.findByRole('table', { name: 'Boxes' }));
    for (const words of [/4 errors on its card/, /too little power/, /a letter waits for 8 days/, /weak signal/, /last copied 64 days ago/]) table.getByText(words);
  });

  test('they are sorted by a column, both ways, and found by name', async () => {
    server.boxes = [box('aa.test', { waiting: 5, waiting_bytes: 7000 }), box('bb.test', { waiting: 9 }), box('cc.test', { waiting: 1 })];
    signedIn();
    const names = () => screen.getAllByRole('rowheader').map((one) => one.textContent);
    await userEvent.click(await screen.findByRole('button', { name: 'Waiting' }));
    expect(names()).toEqual(['cc.test', 'aa.test', 'bb.test']);
    await userEvent.click(screen.getByRole('button', { name: 'Waiting' }));
    expect(names()).toEqual(['bb.test', 'aa.test', 'cc.test']);
    expect(screen.getByRole('columnheader', { name: 'Waiting' })).toHaveProperty('ariaSort', 'descending');
    screen.getByText('7.0 kB', { selector: 'td small' });
    await userEvent.type(screen.getByLabelText('Find'), 'bb');
    expect(names()).toEqual(['bb.test']);
  });

  test('they are shown as cards too, which is remembered', async () => {
    server.boxes = [box('aa.test', { people: 12 })];
    signedIn().unmount();
    render(<Page config={{}} />);
    await userEvent.click(await screen.findByText('Cards'));
    screen.getByText(/12 people/);
    expect(JSON.parse(localStorage.getItem('lokole-status-settings')!)).toMatchObject({ view: 'cards' });
  });

  test('of very many the urgent ones are drawn, and the others when they are asked for or found', async () => {
    server.boxes = Array.from({ length: 230 }, (_, n) => box(`b${String(n).padStart(3, '0')}.test`, n === 222 ? { nights_missed: 9 } : {}));
    signedIn();
    const names = () => [...document.querySelectorAll('tbody th')].map((one) => one.textContent);
    await screen.findByText(/30 more boxes are not shown/);
    expect([names().length, names()[0]]).toEqual([200, 'b222.test']);
    await userEvent.type(screen.getByLabelText('Find'), 'b22');
    expect(names().length).toBe(10);
    await userEvent.clear(screen.getByLabelText('Find'));
    await userEvent.click(screen.getByText('Show more'));
    expect(names().length).toBe(230);
    expect(screen.queryByText(/not shown/)).toBeNull();
  });

  test('a box is opened with its hours, its line and its own days', async () => {
    server.boxes = [box('aa.test', { health: { version: '1.2.0', free: 4096, leaves: '0 2 * * 1', zone: 'Africa/Kinshasa' } })];
    signedIn();
    await userEvent.click(await screen.findByRole('button', { name: 'aa.test' }));
    await screen.findByText('Mondays at 02:00 (Africa/Kinshasa)');
    screen.getByText('version 1.2.0, free 4096');
    const drawer = within(screen.getByRole('dialog', { name: 'aa.test' }));
    drawer.getByText('Letters');
    drawer.getByText('Bytes');
  });

  test('a new box gets a code', async () => {
    signedIn();
    server.instead.set('GET /api/email/register/new.test', { status: 404, body: { title: 'x', status: 404, detail: 'this domain is not ready yet' } });
    await userEvent.click(await screen.findByRole('button', { name: 'New box' }));
    await userEvent.type(screen.getByLabelText('Its domain'), 'New.test');
    await userEvent.click(screen.getByRole('button', { name: 'Register' }));
    await screen.findByText('Being prepared …');
    server.instead.clear();
    await screen.findByText('aaaa-bbbb-cccc-dddd', undefined, { timeout: 4000 });
    expect(server.asked.find((one) => one.method === 'POST')!.body).toEqual({ domain: 'new.test' });
  });

  test('deleting asks first, strikes the box out while it runs, and takes it away', async () => {
    server.boxes = [box('aa.test'), box('bb.test')];
    signedIn();
    server.instead.set('DELETE /api/email/register/aa.test', 'never');
    await userEvent.click(await screen.findByRole('button', { name: 'aa.test' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Delete' }));
    await userEvent.click(await screen.findByRole('button', { name: 'No, keep' }));
    expect(server.count('DELETE', '/api/email/register/aa.test')).toBe(0);
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Delete it' }));
    const row = screen.getByRole('rowheader', { name: 'aa.test' }).closest('tr')!;
    expect(row.className).toBe('going');
    expect(row.getAttribute('aria-busy')).toBe('true');
    expect(server.count('DELETE', '/api/email/register/aa.test')).toBe(1);
  });

  test('a deletion that fails pops up and the box stays', async () => {
    server.boxes = [box('aa.test')];
    signedIn();
    server.instead.set('DELETE /api/email/register/aa.test', { status: 503, body: { title: 'x', status: 503, detail: 'the database is away' } });
    await userEvent.click(await screen.findByRole('button', { name: 'aa.test' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Delete' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Delete it' }));
    await screen.findByText(/aa.test was not deleted. The server has a fault \(503\). The database is away./);
    expect(screen.getByRole('rowheader', { name: 'aa.test' }).closest('tr')!.className).toBe('');
  });

  test('the keys of a lost box are taken back', async () => {
    server.boxes = [box('aa.test')];
    signedIn();
    await userEvent.click(await screen.findByRole('button', { name: 'aa.test' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Take its keys back' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Take them back' }));
    await screen.findByText('new1-code-new1-code');
  });
});

describe('when it does not go well', () => {
  test('a server that does not answer is said so, and asked again by a button', async () => {
    server.instead.set('GET /api/email/metrics/boxes', 'no line');
    signedIn();
    await screen.findByText('The server does not answer.');
    server.instead.clear();
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    await screen.findByText('No box is registered yet.');
  });

  test('what was known stays on the page when the server fails later', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    server.boxes = [box('aa.test')];
    signedIn();
    await screen.findByRole('rowheader', { name: 'aa.test' });
    server.instead.set('GET /api/email/metrics/boxes', { status: 503, body: { title: 'x', status: 503 } });
    await act(() => vi.advanceTimersByTimeAsync(61_000));
    await screen.findByText(/What stands here is older/);
    screen.getByRole('rowheader', { name: 'aa.test' });
  });

  test('a slow server is waited for, not for ever, in words', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    server.instead.set('GET /api/email/metrics/boxes', 'never');
    signedIn();
    await screen.findByText('Asking the server …');
    await act(() => vi.advanceTimersByTimeAsync(3500));
    screen.getByText(/takes its time/);
  });

  test('something else than a Lokole server is no riddle', async () => {
    server.instead.set('GET /api/email/metrics/boxes', { status: 404, body: '<html>' });
    signedIn();
    await screen.findByText('The server refused it (404).');
  });

  test('a computer without a line is told so', async () => {
    signedIn();
    await screen.findByText('No box is registered yet.');
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
    act(() => void window.dispatchEvent(new Event('offline')));
    screen.getByText(/This computer is offline/);
  });
});

describe('pings', () => {
  test('a server whose database is away is no well one', async () => {
    server.instead.set('GET /healthcheck/ready', { status: 503, body: { title: 'x', status: 503 } });
    render(<Page config={{}} />);
    const pings = await screen.findByRole('list', { name: 'Pings' });
    const said = () => within(pings).getAllByRole('listitem').map((one) => one.textContent!.replace(/in \d+ ms/, 'in time'));
    await waitFor(() => expect(said()).toEqual(['Server ✓ answers in time', 'Database ✗ does not answer', 'Webmail ✓ answers in time']));
  });

  test('all are shown with milliseconds, and red when they do not answer', async () => {
    server.instead.set('GET /web/healthcheck/ping', { status: 502 });
    render(<Page config={{}} />);
    const pings = await screen.findByRole('list', { name: 'Pings' });
    await waitFor(() => expect(within(pings).getAllByText(/✓ answers in \d+ ms/)).toHaveLength(2));
    await within(pings).findByText('✗ does not answer');
  });
});

describe('settings', () => {
  test('the ping interval is held to 1 to 60 seconds and kept', async () => {
    render(<Page config={{}} />);
    await userEvent.click(screen.getByRole('button', { name: 'Settings' }));
    const seconds = await screen.findByLabelText(/Ping every/);
    await userEvent.clear(seconds);
    await userEvent.type(seconds, '600');
    await userEvent.tab();
    await waitFor(() => expect(JSON.parse(localStorage.getItem('lokole-status-settings')!).pingSeconds).toBe(60));
  });

  test('a price makes money of bytes, in the currency that is written', async () => {
    server.boxes = [box('aa.test')];
    signedIn();
    await screen.findByText('2.0 kB', { selector: 'td.figure' });
    await userEvent.click(screen.getByRole('button', { name: 'Settings' }));
    await userEvent.type(await screen.findByLabelText(/Price of a megabyte/), '1000');
    await userEvent.tab();
    await userEvent.clear(screen.getByLabelText('Currency'));
    await userEvent.type(screen.getByLabelText('Currency'), 'KES');
    await screen.findByText('2.0 KES (2.0 kB)', { selector: 'td.figure' });
    expect(JSON.parse(localStorage.getItem('lokole-status-settings')!)).toMatchObject({ pricePerMb: 1000, currency: 'KES' });
  });

  test('an address that is none cannot be asked, and a token is checked there too', async () => {
    signedIn();
    await screen.findByText('No box is registered yet.');
    await userEvent.click(screen.getByRole('button', { name: 'Settings' }));
    await userEvent.type(await screen.findByLabelText('Address of the server'), 'mail.test');
    screen.getByText('Write it as https://mail.example.org');
    expect(screen.getByRole('button', { name: 'Ask this server' })).toHaveProperty('disabled', true);
    await userEvent.type(screen.getByLabelText('Token'), 'a token that is wrong');
    await screen.findByText(/does not know this token/, undefined, { timeout: 3000 });
    expect(localStorage.getItem('lokole-status-pass')).toContain(RIGHT);
  });

  test('another server is not shown what opens this one', async () => {
    signedIn();
    await screen.findByText('No box is registered yet.');
    await userEvent.click(screen.getByRole('button', { name: 'Settings' }));
    await userEvent.type(await screen.findByLabelText('Address of the server'), 'https://other.test/');
    await userEvent.click(screen.getByRole('button', { name: 'Ask this server' }));
    expect(localStorage.getItem('lokole-status-pass')).toBeNull();
    expect(JSON.parse(localStorage.getItem('lokole-status-settings')!).endpoint).toBe('https://other.test');
  });
});
