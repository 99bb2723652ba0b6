// A day a bar, two tones on top of each other; the same numbers stand in a table beneath, for those who cannot see it.
import type { Day } from '../api/client';
import { bytes, count } from './words';

type Kind = 'letters' | 'bytes';
const WIDE = 300;
const HIGH = 64;

export function Bars({ days, kind, title }: { days: Day[]; kind: Kind; title: string }) {
  const up = (day: Day) => (kind === 'letters' ? day.letters_up : day.bytes_up);
  const down = (day: Day) => (kind === 'letters' ? day.letters_down : day.bytes_down);
  const say = (n: number) => (kind === 'letters' ? count(n, 'letter') : bytes(n));
  const most = Math.max(1, ...days.map((day) => up(day) + down(day)));
  const total = (of: (day: Day) => number) => days.reduce((sum, day) => sum + of(day), 0);
  const words = `${say(total(up))} from the boxes, ${say(total(down))} to them, in ${days.length} days`;
  if (total(up) + total(down) === 0) {
    return (
      <figure className="bars">
        <figcaption>
          <b>{title}</b> <span>nothing was carried in {days.length} days</span>
        </figcaption>
      </figure>
    );
  }
  const step = WIDE / Math.max(1, days.length);
  return (
    <figure className="bars">
      <figcaption>
        <b>{title}</b> <span>{words}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDE} ${HIGH + 1}`} role="img" aria-label={`${title}: ${words}. The most in a day: ${say(most)}.`} preserveAspectRatio="none">
        {days.map((day, n) => {
          const [upper, lower] = [(up(day) / most) * HIGH, (down(day) / most) * HIGH];
          return (
            <g key={day.day}>
              <title>{`${day.day}: ${say(up(day))} from, ${say(down(day))} to the boxes`}</title>
              <rect className="all" x={n * step} y={0} width={step} height={HIGH} />
              <rect className="down" x={n * step + 1} y={HIGH - lower} width={step - 2} height={lower} />
              <rect className="up" x={n * step + 1} y={HIGH - lower - upper} width={step - 2} height={upper} />
            </g>
          );
        })}
        <line x1={0} x2={WIDE} y1={HIGH + 0.5} y2={HIGH + 0.5} />
      </svg>
      <details>
        <summary>As numbers</summary>
        <table>
          <thead>
            <tr>
              <th>Day</th>
              <th>From boxes</th>
              <th>To boxes</th>
            </tr>
          </thead>
          <tbody>
            {days.map((day) => (
              <tr key={day.day}>
                <td>{day.day}</td>
                <td>{say(up(day))}</td>
                <td>{say(down(day))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
