import 'virtual:antd.css';
import './styles.css';
import { createRoot } from 'react-dom/client';
import { Page, type Config } from './app/Page';

async function config(): Promise<Config> {
  try {
    const answer = await fetch('config.json', { cache: 'no-cache' });
    return answer.ok ? ((await answer.json()) as Config) : {};
  } catch {
    return {};
  }
}

void config().then((found) => createRoot(document.getElementById('root')!).render(<Page config={found} />));
