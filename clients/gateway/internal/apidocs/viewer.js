// Shows /openapi.json as a list of routes, with an example of what goes in and what comes out.
'use strict';

const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};

// An example of a schema, no deeper than a person wants to read.
const example = (schema, definitions, depth = 0) => {
  if (!schema) return undefined;
  if (schema.$ref) return depth > 4 ? {} : example(definitions[schema.$ref.replace('#/definitions/', '')], definitions, depth + 1);
  if (schema.type === 'array') return [example(schema.items, definitions, depth + 1)];
  if (schema.enum) return schema.enum[Math.min(1, schema.enum.length - 1)];
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, value]) => [name, example(value, definitions, depth + 1)]),
    );
  }
  if (schema.type === 'string') return schema.format === 'date-time' ? '2026-11-26T09:00:00Z' : schema.format === 'int64' ? '0' : '';
  if (schema.type === 'integer' || schema.type === 'number') return 0;
  if (schema.type === 'boolean') return false;
  return {};
};

const json = (value) => element('pre', JSON.stringify(value, null, 2));

const parameters = (list) => {
  const table = element('table', '', element('tr', '', element('th', 'Name'), element('th', 'In'), element('th', 'Type'), element('th', '')));
  for (const one of list) {
    table.append(element('tr', '', element('td', '', element('code', one.name + (one.required ? ' *' : ''))),
      element('td', one.in), element('td', one.items ? 'several' : one.type || ''), element('td', one.description || '')));
  }
  return table;
};

const route = (path, method, operation, definitions) => {
  const summary = element('summary', '', element('b', method.toUpperCase()), element('code', path));
  const box = element('details', '', summary, element('p', [operation.summary, operation.description].filter(Boolean).join('\n')));
  const all = operation.parameters || [];
  const plain = all.filter((one) => one.in !== 'body');
  const body = all.find((one) => one.in === 'body');
  if (plain.length > 0) box.append(parameters(plain));
  if (body) box.append(element('p', 'Body' + (operation.consumes ? ` (${operation.consumes.join(', ')})` : ' (application/json)')), json(example(body.schema, definitions)));
  const answer = operation.responses && operation.responses['200'];
  if (answer) box.append(element('p', 'Answer: ' + (answer.description || '')));
  if (answer && answer.schema) box.append(json(example(answer.schema, definitions)));
  box.dataset.words = `${method} ${path} ${summary.textContent} ${operation.summary || ''}`.toLowerCase();
  return box;
};

const show = (description) => {
  document.getElementById('about').textContent = `${description.info.description} Version ${description.info.version}. `;
  document.getElementById('about').append(Object.assign(element('a', '/openapi.json'), { href: '/openapi.json' }));
  const groups = new Map();
  for (const path of Object.keys(description.paths).sort()) {
    for (const [method, operation] of Object.entries(description.paths[path])) {
      const group = (operation.tags || ['Other'])[0];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(route(path, method, operation, description.definitions));
    }
  }
  const main = document.getElementById('routes');
  for (const [name, routes] of groups) main.append(element('section', '', element('h2', name), ...routes));
  document.getElementById('find').addEventListener('input', (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const box of main.querySelectorAll('details')) box.hidden = !box.dataset.words.includes(wanted);
  });
};

fetch('/openapi.json')
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => {
    document.getElementById('routes').textContent = String(error);
  });
