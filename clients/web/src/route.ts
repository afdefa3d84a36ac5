import type { Route } from './state/model';

// The view that an address names: #/bench, #/history, #/history/{id}, #/firmware, #/station.
export function parseRoute(hash: string): Route {
  const [view, id] = hash.replace(/^#\/?/, '').split('/');
  switch (view) {
    case 'history':
      return { view, deployment: id ? `deployments/${decodeURIComponent(id)}` : null };
    case 'firmware':
    case 'station':
      return { view };
    default:
      return { view: 'bench' };
  }
}
