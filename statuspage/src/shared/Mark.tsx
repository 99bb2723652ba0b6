import { Tag } from 'antd';
import type { State } from './words';

const COLORS = { good: 'success', warn: 'warning', bad: 'error', plain: 'default' };
const SIGNS = { good: '✓', warn: '!', bad: '✗', plain: '·' };

/** A state as a coloured mark with a sign and words, so that the colour alone says nothing. */
export function Mark({ state }: { state: State }) {
  return (
    <Tag color={COLORS[state.tone]}>
      <span aria-hidden="true">{SIGNS[state.tone]}</span> {state.words}
    </Tag>
  );
}
