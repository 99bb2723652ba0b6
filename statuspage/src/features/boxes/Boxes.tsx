// The boxes: what they are together, each of them as a row or a card, and what one can do.
import { Alert, App, Button, Empty, Segmented, Skeleton, Statistic } from 'antd';
import { useMemo, useState } from 'react';
import type { Server } from '../../api/client';
import { Trouble } from '../../api/client';
import { Bars } from '../../shared/Bars';
import type { Asked } from '../../shared/ask';
import { bytes, count, type Price } from '../../shared/words';
import { BoxCards } from './BoxCards';
import { BoxDrawer } from './BoxDrawer';
import { BoxTable } from './BoxTable';
import { NewBox } from './NewBox';
import { KEYS, sorted, type Key, type Order } from './sorting';

/** A browser takes seconds to draw ten thousand rows; the urgent ones come first, the others are found by name. */
const AT_ONCE = 200;

export type Fleet = Awaited<ReturnType<Server['boxes']>>;

type Props = {
  server: Server;
  fleet: Asked<Fleet>;
  price: Price;
  view: 'table' | 'cards';
  setView: (view: 'table' | 'cards') => void;
};

export function Boxes({ server, fleet, price, view, setView }: Props) {
  const { message } = App.useApp();
  const [order, setOrder] = useState<Order>({ key: 'urgency', down: false });
  const [opened, setOpened] = useState<string>();
  const [isNew, setNew] = useState(false);
  const [search, setSearch] = useState('');
  const [most, setMost] = useState(AT_ONCE);
  const [removing, setRemoving] = useState<ReadonlySet<string>>(new Set());
  const all = fleet.data?.boxes;
  const boxes = useMemo(
    () => sorted((all ?? []).filter((box) => box.domain.includes(search.trim().toLowerCase())), order),
    [all, order, search],
  );

  const remove = async (domain: string) => {
    setRemoving((before) => new Set(before).add(domain));
    try {
      await server.remove(domain);
    } catch (error) {
      if (!(error instanceof Trouble && error.status === 404)) {
        void message.error(`${domain} was not deleted. ${(error as Error).message}`, 10);
        setRemoving((before) => new Set([...before].filter((one) => one !== domain)));
      }
    }
    fleet.again();
  };

  if (!all) return <Waiting fleet={fleet} />;
  const shown = { boxes: boxes.slice(0, most), removing, price, now: Date.now(), open: setOpened };
  const silent = all.filter((box) => box.nights_missed > 0).length;
  const waiting = all.reduce((sum, box) => sum + box.waiting, 0);
  return (
    <>
      {fleet.error && <Alert type="warning" showIcon title={`${fleet.error.message} What stands here is older.`} action={<Button size="small" onClick={fleet.again}>Try again</Button>} />}
      {silent > 0 && <Alert type="error" showIcon title={`${count(silent, 'box has', 'boxes have')} been silent for a night or longer.`} />}
      <section aria-label="All together" className="together">
        <Statistic title="Boxes" value={all.length} />
        <Statistic title="Silent" value={silent} />
        <Statistic title="Letters waiting" value={waiting} suffix={waiting > 0 && <small>{bytes(all.reduce((sum, box) => sum + box.waiting_bytes, 0))}</small>} />
        <Statistic title="People" value={all.reduce((sum, box) => sum + box.people, 0)} />
      </section>
      <section aria-label="The last 30 days" className="charts">
        <Bars days={fleet.data!.days} kind="letters" title="Letters a day" />
        <Bars days={fleet.data!.days} kind="bytes" title="Bytes a day" />
      </section>
      <section aria-label="Boxes">
        <div className="tools">
          <h2>Boxes</h2>
          <Button type="primary" onClick={() => setNew(true)}>New box</Button>
          <Segmented aria-label="View" value={view} onChange={(value) => setView(value as 'table' | 'cards')} options={[{ label: 'Table', value: 'table' }, { label: 'Cards', value: 'cards' }]} />
          <label>
            Order{' '}
            <select value={order.key} onChange={(event) => setOrder({ key: event.target.value as Key, down: false })}>
              {Object.entries(KEYS).map(([key, words]) => (
                <option key={key} value={key}>{words}</option>
              ))}
            </select>
          </label>
          <label>
            Find <input type="search" value={search} onChange={(event) => setSearch(event.target.value)} />
          </label>
        </div>
        {all.length === 0 ? (
          <Empty image={null} description="No box is registered yet." />
        ) : boxes.length === 0 ? (
          <p>No box has this in its name.</p>
        ) : view === 'cards' ? (
          <BoxCards {...shown} />
        ) : (
          <BoxTable {...shown} order={order} sort={setOrder} />
        )}
        {boxes.length > most && (
          <p>
            {count(boxes.length - most, 'more box is', 'more boxes are')} not shown. <Button onClick={() => setMost(most + AT_ONCE)}>Show more</Button>
          </p>
        )}
      </section>
      {opened && <BoxDrawer key={opened} domain={opened} server={server} price={price} close={() => setOpened(undefined)} remove={remove} changed={fleet.again} />}
      {isNew && <NewBox server={server} close={() => setNew(false)} changed={fleet.again} />}
    </>
  );
}

/** Before the first answer: asking, slow, or not to be had. */
function Waiting({ fleet }: { fleet: Asked<Fleet> }) {
  if (fleet.error) {
    return (
      <Alert
        type="error"
        showIcon
        title={fleet.error.message}
        action={<Button onClick={fleet.again} disabled={fleet.isAsking}>Try again</Button>}
      />
    );
  }
  return (
    <div role="status">
      <p>{fleet.isSlow ? 'The server takes its time. It is still being asked …' : 'Asking the server …'}</p>
      <Skeleton active={false} title={false} />
    </div>
  );
}
