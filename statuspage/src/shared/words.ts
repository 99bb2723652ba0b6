// Numbers, times and states in words.
import type { Box } from '../api/client';

const number = new Intl.NumberFormat('en');

export function count(n: number, one: string, many = `${one}s`): string {
  return `${number.format(n)} ${n === 1 ? one : many}`;
}

/** Such as "3.4 kB"; bytes are counted in thousands, as tariffs do. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`;
  const [size, unit] = n < 1e6 ? [n / 1e3, 'kB'] : n < 1e9 ? [n / 1e6, 'MB'] : [n / 1e9, 'GB'];
  return `${size < 10 ? size.toFixed(1) : number.format(Math.round(size))} ${unit}`;
}

/** Such as "2 hours ago", in the steps in which one thinks of nights. */
export function ago(moment: string | null, now: number): string {
  if (moment === null) return 'never';
  const minutes = Math.max(0, Math.round((now - Date.parse(moment)) / 60_000));
  if (minutes < 2) return 'just now';
  if (minutes < 90) return `${minutes} minutes ago`;
  if (minutes < 36 * 60) return `${Math.round(minutes / 60)} hours ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}

/** Date and time in the place of who looks. */
export function clockTime(moment: string): string {
  return new Date(moment).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
}

export type Tone = 'good' | 'warn' | 'bad' | 'plain';
export type State = { tone: Tone; words: string };

/** How a box is, the most urgent first; `words` say it without the colour. */
export function stateOf(box: Box): State {
  if (box.state === 'removed') return { tone: 'plain', words: 'being removed' };
  if (box.state === 'preparing') return { tone: 'plain', words: 'being prepared' };
  if (box.state === 'given-up') return { tone: 'bad', words: 'could not be made ready' };
  if (box.state === 'waiting') return { tone: 'plain', words: 'waits for its box' };
  if (box.nights_missed > 0) return { tone: 'bad', words: `silent for ${count(box.nights_missed, 'night')}` };
  if (box.twin_seen) return { tone: 'bad', words: 'perhaps two machines' };
  const told = troublesOf(box);
  if (told.length > 0) return { tone: 'warn', words: told[0]! };
  return box.last_visit === null ? { tone: 'plain', words: 'not here yet' } : { tone: 'good', words: 'well' };
}

/** What a box says of itself that wants looking after (protocol 7.8). */
export function troublesOf(box: Box): string[] {
  const said = box.health as Record<string, unknown>;
  const number = (name: string) => (typeof said[name] === 'number' ? (said[name] as number) : 0);
  return [
    said.failed ? `last visit failed: ${String(said.failed)}` : '',
    said.clock === true ? 'its clock has gone back' : '',
    typeof said.free === 'number' && said.free < 128 ? `only ${said.free} MB free` : '',
    number('missing') ? `${count(number('missing'), 'letter')} missing` : '',
    number('apart') ? `${number('apart')} set apart` : '',
    number('card') ? `${count(number('card'), 'error')} on its card` : '',
    said.power === 'low' ? 'too little power' : '',
    number('oldest') >= 8 ? `a letter waits for ${number('oldest')} days` : '',
    number('waiting') ? `${count(number('waiting'), 'letter')} unsent for two days` : '',
    typeof said.signal === 'number' && said.signal < 30 ? 'weak signal' : '',
    number('copied') ? `last copied ${number('copied')} days ago` : '',
  ].filter(Boolean);
}

export function versionOf(box: Box): string {
  const said = (box.health as Record<string, unknown>).version;
  return typeof said === 'string' ? said : '';
}

/** All else of a box's line. */
export function healthLine(box: Box): string {
  const said = Object.entries(box.health as Record<string, unknown>).filter(([name]) => !['reads', 'leaves', 'zone'].includes(name));
  return said.map(([name, value]) => `${name} ${String(value)}`).join(', ');
}

const WEEKDAYS = ['Sundays', 'Mondays', 'Tuesdays', 'Wednesdays', 'Thursdays', 'Fridays', 'Saturdays'];

/** When the box goes to its server, as it told it: five fields of cron (protocol 7.8), in words where they are hours of the day; "" when it told nothing. */
export function hoursOf(box: Box): string {
  const said = box.health as Record<string, unknown>;
  if (typeof said.leaves !== 'string') return '';
  const zone = typeof said.zone === 'string' ? said.zone : 'UTC';
  const [minute, hours, day, month, weekdays] = said.leaves.split(' ');
  const isPlain = /^\d+$/.test(minute ?? '') && /^\d+(,\d+)*$/.test(hours ?? '') && day === '*' && month === '*' && /^(\*|[0-7](,[0-7])*)$/.test(weekdays ?? '');
  if (!isPlain) return `by “${said.leaves}” (${zone})`;
  const times = hours!.split(',').map((hour) => `${hour.padStart(2, '0')}:${minute!.padStart(2, '0')}`);
  const days = weekdays === '*' ? 'every day' : weekdays!.split(',').map((one) => WEEKDAYS[Number(one) % 7]).join(', ');
  return `${days} at ${times.join(', ')} (${zone})`;
}

/** A person's name as people know it: the server writes `github:` before a login, so that no login is taken for its operator. */
export function plainName(name: string): string {
  return name.replace(/^github:/, '');
}

export type Price = { perMb: number; currency: string };

/** Bytes a letter of the last 30 days, and what that costs where a price is set; "" without letters. */
export function costPerLetter(traffic: Box['traffic'], price: Price): string {
  const letters = traffic.letters_up + traffic.letters_down;
  if (letters === 0) return '';
  const each = (traffic.bytes_up + traffic.bytes_down) / letters;
  const cost = (each * price.perMb) / 1e6;
  return price.perMb > 0 ? `${cost < 10 ? cost.toPrecision(2) : Math.round(cost)} ${price.currency} (${bytes(each)})` : bytes(Math.round(each));
}
