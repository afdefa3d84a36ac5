// The page's icons: strokes on a 24 by 24 grid, coloured by the text around them, never read aloud.
const PATHS = {
  ready: 'M4 12.5l5 5L20 6.5',
  working: 'M12 3a9 9 0 1 1-8.5 6',
  attention: 'M12 3.5 2.5 20h19zM12 10v4.5M12 17.2v.3',
  fault: 'M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3zM9 9l6 6M15 9l-6 6',
  offline: 'M3 3l18 18M5 12.5a10 10 0 0 1 3-2M19 12.5a10 10 0 0 0-6-2.9M8.5 16a5 5 0 0 1 7 0M12 19.5v.1',
  waiting: 'M12 7v5l3.5 2M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18',
  plug: 'M9 3v5M15 3v5M6.5 8h11v3.5a5.5 5.5 0 0 1-11 0zM12 17v4',
  bench: 'M3 10h18M5 10v9M19 10v9M8 10V5h8v5',
  history: 'M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4M12 8v4.5l3 1.8',
  chip: 'M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4',
  station: 'M3 12h4l2.5-6 4 12 2.5-6h5',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3 19 19M5 19l1.7-1.7M17.3 6.7 19 5',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5',
  sound: 'M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  mute: 'M4 9.5v5h3.5L12 19V5L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5',
  scan: 'M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M8 8v8M11 8v8M14 8v8M16.5 8v8',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1-1',
  wifi: 'M2.5 9a14 14 0 0 1 19 0M5.5 12.5a9.5 9.5 0 0 1 13 0M8.8 16a4.8 4.8 0 0 1 6.4 0M12 19.5v.1',
  print: 'M7 8V3h10v5M7 17H4V9.5A1.5 1.5 0 0 1 5.5 8h13A1.5 1.5 0 0 1 20 9.5V17h-3M7 14h10v7H7z',
  download: 'M12 4v11M7.5 11l4.5 4.5L16.5 11M4 20h16',
  upload: 'M12 16V5M7.5 9 12 4.5 16.5 9M4 20h16',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12M12 9.3a2.7 2.7 0 1 1 0 5.4 2.7 2.7 0 0 1 0-5.4',
  retry: 'M20 12a8 8 0 1 1-2.5-5.8M20 4v4h-4',
  cancel: 'M6 6l12 12M18 6 6 18',
  next: 'M9 5l7 7-7 7',
  back: 'M15 5l-7 7 7 7',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14M16 16l5 5',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  globe: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18M3.5 9.5h17M3.5 14.5h17M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18',
  wrench:
    'M14.5 6.500a4.5 4.5 0 0 1 5.7-1.700L17 8l1 2 2 1 .8-3.500a4.5 4.5 0 0 1-6.3 4.700L8 19a2.1 2.1 0 0 1-3-3l6.8-6.500a4.5 4.5 0 0 1 2.7-3',
  antenna:
    'M12 13v8M8.5 21h7M12 10.500v.1M8.5 14a5 5 0 0 1 0-7M15.5 14a5 5 0 0 0 0-7M5.7 16.800a9 9 0 0 1 0-12.600M18.3 16.800a9 9 0 0 0 0-12.6',
  folder: 'M3 6h6l2 2.500h10V19H3z',
  bulb: 'M9.5 18h5M10.5 21h3M8.8 14.8a6 6 0 1 1 6.4 0c-.5.4-.7.8-.7 1.4v.3h-5v-.3c0-.6-.2-1-.7-1.4',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, class: extra = '' }: { name: IconName; class?: string }) {
  return (
    <svg class={`icon icon-${name} ${extra}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
