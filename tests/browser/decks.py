"""Slides in a browser: when they are ready, and how each stands in its frame."""

READY = "document.querySelector('.reveal').classList.contains('ready')"
# scrolled: does it need a scroll bar; wide: by how much what it shows is wider than itself
LOOK = """[...document.querySelectorAll('.slides > section > section')].map((section) => {
  section.parentElement.style.display = section.style.display = 'block';
  const room = section.querySelector('.room');
  const seen = { title: section.innerText.slice(0, 40), scrolled: room.classList.contains('long'),
    high: section.scrollHeight, wide: room.scrollWidth - room.clientWidth,
    zoom: Number(room.style.zoom) || 1 };
  section.parentElement.style.display = section.style.display = '';
  return seen })"""


def slides_of(page):
    """[{title, scrolled, high, wide, zoom}] of a deck's slides, once reveal.js has them."""
    page.wait_for_function(READY)
    return page.evaluate(LOOK)
