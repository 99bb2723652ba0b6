import { Card } from 'antd';
import { Mark } from '../../shared/Mark';
import { ago, bytes, costPerLetter, count, stateOf, troublesOf, versionOf } from '../../shared/words';
import { isGoing, type Shown } from './BoxTable';

export function BoxCards({ boxes, removing, price, now, open }: Shown) {
  return (
    <ul className="cards">
      {boxes.map((box) => (
        <li key={box.domain} className={isGoing(box, removing) ? 'going' : undefined} aria-busy={isGoing(box, removing)}>
          <Card
            size="small"
            title={
              <h3>
                <button type="button" className="link" onClick={() => open(box.domain)}>
                  {box.domain}
                </button>
              </h3>
            }
          >
            <Mark state={stateOf(box)} />
            <p>
              Last visit: {ago(box.last_visit, now)}
              <br />
              {count(box.waiting, 'letter')} waiting{box.waiting > 0 ? `, ${bytes(box.waiting_bytes)}` : ''}
              <br />
              {count(box.people, 'person', 'people')}
              {costPerLetter(box.traffic, price) && `, ${costPerLetter(box.traffic, price)} a letter`}
              {versionOf(box) && `, version ${versionOf(box)}`}
            </p>
            {troublesOf(box).length > 1 && <p>{troublesOf(box).join('; ')}</p>}
          </Card>
        </li>
      ))}
    </ul>
  );
}
