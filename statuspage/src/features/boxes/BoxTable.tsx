import type { Box } from '../../api/client';
import { Mark } from '../../shared/Mark';
import { ago, bytes, clockTime, costPerLetter, stateOf, troublesOf, versionOf, type Price } from '../../shared/words';
import type { Key, Order } from './sorting';

export type Shown = {
  boxes: Box[];
  /** Domains whose removal runs. */
  removing: ReadonlySet<string>;
  price: Price;
  now: number;
  open: (domain: string) => void;
};

const COLUMNS: [Key, string][] = [
  ['domain', 'Box'],
  ['urgency', 'State'],
  ['last_visit', 'Last visit'],
  ['waiting', 'Waiting'],
  ['people', 'People'],
  ['cost', 'A letter'],
];

export function BoxTable({ boxes, removing, price, now, open, order, sort }: Shown & { order: Order; sort: (order: Order) => void }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Table of boxes">
      <table className="boxes" aria-label="Boxes">
        <thead>
          <tr>
            {COLUMNS.map(([key, words]) => (
              <th key={key} aria-sort={order.key === key ? (order.down ? 'descending' : 'ascending') : 'none'}>
                <button type="button" onClick={() => sort({ key, down: order.key === key && !order.down })}>
                  {words} <span aria-hidden="true">{order.key === key ? (order.down ? '▼' : '▲') : ''}</span>
                </button>
              </th>
            ))}
            <th>Version</th>
          </tr>
        </thead>
        <tbody>
          {boxes.map((box) => (
            <tr key={box.domain} className={isGoing(box, removing) ? 'going' : undefined} aria-busy={isGoing(box, removing)}>
              <th scope="row">
                <button type="button" className="link" onClick={() => open(box.domain)}>
                  {box.domain}
                </button>
              </th>
              <td>
                <Mark state={stateOf(box)} />
                {troublesOf(box).slice(stateOf(box).tone === 'warn' ? 1 : 0).map((words) => (
                  <div key={words}>{words}</div>
                ))}
              </td>
              <td title={box.last_visit ? clockTime(box.last_visit) : undefined}>{ago(box.last_visit, now)}</td>
              <td className="figure">
                {box.waiting} {box.waiting > 0 && <small>{bytes(box.waiting_bytes)}</small>}
              </td>
              <td className="figure">{box.people}</td>
              <td className="figure">{costPerLetter(box.traffic, price) || '–'}</td>
              <td>{versionOf(box) || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function isGoing(box: Box, removing: ReadonlySet<string>): boolean {
  return removing.has(box.domain) || box.state === 'removed';
}
