// All about one box, and what one can do with it.
import { Alert, Button, Drawer, Modal, Skeleton } from 'antd';
import { useCallback, useState } from 'react';
import type { Server } from '../../api/client';
import { useAsked } from '../../shared/ask';
import { Bars } from '../../shared/Bars';
import { Mark } from '../../shared/Mark';
import { ago, bytes, clockTime, costPerLetter, healthLine, hoursOf, stateOf, troublesOf, type Price } from '../../shared/words';

type Question = 'revoke' | 'remove';

type Props = {
  domain: string;
  server: Server;
  price: Price;
  close: () => void;
  /** The box is to go; the list strikes it out meanwhile. */
  remove: (domain: string) => void;
  changed: () => void;
};

export function BoxDrawer({ domain, server, price, close, remove, changed }: Props) {
  const ask = useCallback((signal: AbortSignal) => server.box(domain, signal), [server, domain]);
  const { data: box, error, again } = useAsked(ask, 60);
  const [question, setQuestion] = useState<Question>();
  const [code, setCode] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const [isBusy, setBusy] = useState(false);

  const run = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setTrouble(undefined);
    try {
      await work();
    } catch (error) {
      setTrouble((error as Error).message);
    }
    setBusy(false);
    setQuestion(undefined);
  };
  const showCode = () => run(async () => setCode((await server.details(domain)).code ?? 'A box has this domain: there is no code.'));
  const revoke = () =>
    run(async () => {
      setCode((await server.revoke(domain)).code ?? '');
      changed();
      again();
    });

  return (
    <Drawer open title={domain} onClose={close} size={480} closable={{ 'aria-label': 'Close' }}>
      {error && <Alert type="error" showIcon title={error.message} />}
      {trouble && <Alert type="error" showIcon title={trouble} />}
      {!box && !error && <Skeleton active={false} title={false} />}
      {box && (
        <>
          <p>
            <Mark state={stateOf(box)} /> {box.sentence}
          </p>
          <dl>
            <Fact name="Last visit">{box.last_visit ? `${ago(box.last_visit, Date.now())}, ${clockTime(box.last_visit)}` : 'never'}</Fact>
            <Fact name="Leaves">{hoursOf(box) || 'it has not said when'}</Fact>
            <Fact name="Nights missed">{box.nights_missed}</Fact>
            <Fact name="Letters waiting">{`${box.waiting}${box.waiting ? `, about ${bytes(box.waiting_bytes)}` : ''}`}</Fact>
            <Fact name="People">{box.people}</Fact>
            <Fact name="A letter costs">{costPerLetter(box.traffic, price) || 'no letter in 30 days'}</Fact>
            <Fact name="Says of itself">
              {healthLine(box) || 'nothing yet'}
              {box.health_at && ` (since ${clockTime(box.health_at)})`}
            </Fact>
            {box.twin_seen && <Fact name="Twin">{`Its key came with a wrong counter, ${clockTime(box.twin_seen)}: two machines may have it.`}</Fact>}
            {troublesOf(box).length > 0 && <Fact name="To look after">{troublesOf(box).join('; ')}</Fact>}
          </dl>
          <Bars days={box.days} kind="letters" title="Letters" />
          <Bars days={box.days} kind="bytes" title="Bytes" />
          {code && <Alert type="info" title="One-time code of the box" description={<output className="code">{code}</output>} />}
          <div className="acts">
            {box.state === 'waiting' && <Button onClick={showCode} disabled={isBusy}>Show the code</Button>}
            {box.state === 'claimed' && <Button onClick={() => setQuestion('revoke')}>Take its keys back</Button>}
            {box.state !== 'removed' && (
              <Button danger onClick={() => setQuestion('remove')}>
                Delete
              </Button>
            )}
          </div>
        </>
      )}
      <Modal
        open={question !== undefined}
        title={question === 'remove' ? `Delete ${domain}?` : `Take the keys of ${domain} back?`}
        okText={question === 'remove' ? 'Delete it' : 'Take them back'}
        cancelText="No, keep"
        okButtonProps={{ danger: true, disabled: isBusy }}
        onCancel={() => setQuestion(undefined)}
        onOk={() => {
          if (question === 'revoke') return revoke();
          remove(domain);
          return close();
        }}
      >
        {question === 'remove'
          ? 'The domain, its people and all their mail on the server go, and cannot be brought back.'
          : 'For a box that was lost or stolen: its machine is not let in any more. Mail stays, and a new code is given for the machine that takes its place.'}
      </Modal>
    </Drawer>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
