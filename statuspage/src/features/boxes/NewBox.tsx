// A new domain, and the code with which its box claims it.
import { Alert, Button, Input, Modal } from 'antd';
import { useRef, useState } from 'react';
import { Trouble, type Server } from '../../api/client';

/** How long the work behind a registration is waited for, and how often it is looked at. */
const LOOK_MS = 1000;
const MOST_LOOKS = 60;

export function NewBox({ server, close, changed }: { server: Server; close: () => void; changed: () => void }) {
  const [domain, setDomain] = useState('');
  const [code, setCode] = useState<string>();
  const [trouble, setTrouble] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const isOpen = useRef(true);

  const create = async () => {
    setBusy(true);
    setTrouble(undefined);
    try {
      await server.register(domain.trim().toLowerCase());
      changed();
      const details = await ready(server, domain.trim().toLowerCase(), () => isOpen.current);
      setCode(details.code ?? 'A box has this domain already: there is no code.');
      changed();
    } catch (error) {
      setTrouble((error as Error).message);
    }
    setBusy(false);
  };

  return (
    <Modal
      open
      title="A new box"
      onCancel={() => {
        isOpen.current = false;
        close();
      }}
      footer={null}
      closable={{ 'aria-label': 'Close' }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <label htmlFor="domain">Its domain</label>
        <Input id="domain" value={domain} onChange={(event) => setDomain(event.target.value)} autoCapitalize="off" autoComplete="off" spellCheck={false} disabled={isBusy || code !== undefined} placeholder="village.example.org" />
        {trouble && <Alert type="error" showIcon title={trouble} />}
        {code ? (
          <Alert type="success" title="The box asks for this code when it is set up. It is good once." description={<output className="code">{code}</output>} />
        ) : (
          <Button type="primary" htmlType="submit" disabled={isBusy || domain.trim() === ''}>
            {isBusy ? 'Being prepared …' : 'Register'}
          </Button>
        )}
      </form>
    </Modal>
  );
}

async function ready(server: Server, domain: string, isWanted: () => boolean) {
  for (let looks = 1; ; looks++) {
    try {
      return await server.details(domain);
    } catch (error) {
      if (!(error instanceof Trouble && error.status === 404) || !isWanted()) throw error;
      if (looks >= MOST_LOOKS) throw new Trouble(404, 'The server is still preparing it. Its code stands on the box’s page later.');
    }
    await new Promise((then) => setTimeout(then, LOOK_MS));
  }
}
