// In which order the boxes stand.
import type { Box } from '../../api/client';
import { stateOf } from '../../shared/words';

export type Key = 'urgency' | 'domain' | 'last_visit' | 'waiting' | 'people' | 'cost';
export type Order = { key: Key; down: boolean };

export const KEYS: Record<Key, string> = {
  urgency: 'Most urgent',
  domain: 'Name',
  last_visit: 'Last visit',
  waiting: 'Letters waiting',
  people: 'People',
  cost: 'Bytes a letter',
};

const TONES = { bad: 0, warn: 1, plain: 2, good: 3 };

export function sorted(boxes: Box[], order: Order): Box[] {
  const sign = order.down ? -1 : 1;
  return [...boxes].sort((one, other) => sign * compare(one, other, order.key) || one.domain.localeCompare(other.domain));
}

function compare(one: Box, other: Box, key: Key): number {
  if (key === 'urgency') {
    return TONES[stateOf(one).tone] - TONES[stateOf(other).tone] || other.nights_missed - one.nights_missed;
  }
  if (key === 'domain') return one.domain.localeCompare(other.domain);
  if (key === 'last_visit') return Date.parse(one.last_visit ?? '1970-01-01') - Date.parse(other.last_visit ?? '1970-01-01');
  if (key === 'cost') return each(one) - each(other);
  return one[key] - other[key];
}

function each({ traffic }: Box): number {
  return (traffic.bytes_up + traffic.bytes_down) / Math.max(1, traffic.letters_up + traffic.letters_down);
}
