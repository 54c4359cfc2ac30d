// Finds a visible element: a link, button or part by its data-test name, a field by its name, a choice by its value, and a
// link to users' own content by its text. Returns the element, or the names of what is there instead. The page's main
// part comes first.
const [kind, name] = arguments;
const selectors = {
  link: 'a[href]',
  button: 'button, input[type=submit], summary',
  field: 'input:not([type=hidden]), select, textarea',
  choice: 'input[type=radio], input[type=checkbox]',
  part: '[data-test]',
};
const plain = text => (text ?? '').replace(/\s+/g, ' ').trim();
const names = element => {
  switch (kind) {
    case 'field': return [element.name, ...(element.type === 'radio' ? [element.value] : [])];
    case 'choice': return [element.value];
    case 'link': return [...(element.dataset.test ?? '').split(' '), plain(element.innerText)];
    default: return (element.dataset.test ?? '').split(' ');
  }
};

const shown = [...document.querySelectorAll(selectors[kind])]
  .filter(element => element.checkVisibility({ visibilityProperty: true }))
  .sort((a, b) => !!b.closest('main') - !!a.closest('main'));
return shown.find(element => names(element).includes(name)) ?? shown.map(element => names(element).join(' '));
