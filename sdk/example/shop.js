// A shop of one page. It shows how a site uses Throng's SDK: page views come by themselves, the rest are three calls of `track`.

const PRODUCTS = [
  { id: "mug", name: "Morning mug", price: 19.5, glaze: "#c8643c", text: "Holds a proper cup, and the warmth for a while." },
  { id: "bowl", name: "Noodle bowl", price: 28, glaze: "#4f7f78", text: "Deep, wide, and light enough to drink the rest from." },
  { id: "vase", name: "Bud vase", price: 24, glaze: "#7d6bb0", text: "For one flower that deserves a place of its own." },
  { id: "plate", name: "Supper plate", price: 22, glaze: "#b98a2f", text: "Speckled stoneware that makes toast look like a plan." },
];

/** What each pot looks like: paths in a box of 80 by 60. */
const PICTURES = {
  mug: '<path d="M26 18h24v22a6 6 0 0 1-6 6H32a6 6 0 0 1-6-6z" fill="currentColor"/><path d="M50 23h4a6 6 0 0 1 0 14h-4" fill="none" stroke="currentColor" stroke-width="3.5"/><path d="M26 18h24v4H26z" fill="#fff" opacity=".25"/>',
  bowl: '<path d="M18 24h44c0 14-8 21-15 22H33c-7-1-15-8-15-22z" fill="currentColor"/><path d="M18 24h44l-1 4H19z" fill="#fff" opacity=".25"/>',
  vase: '<path d="M36 16h8v8c7 4 9 10 7 16-1 4-5 6-11 6s-10-2-11-6c-2-6 0-12 7-16z" fill="currentColor"/><path d="M40 16V6m0 4c3-4 6-4 8-3-1 4-4 5-8 5" fill="none" stroke="#6f9160" stroke-width="2" stroke-linecap="round"/>',
  plate: '<ellipse cx="40" cy="32" rx="27" ry="15" fill="currentColor"/><ellipse cx="40" cy="31" rx="17" ry="9" fill="#fff" opacity=".25"/>',
};

const address = new URLSearchParams(location.search);
const main = document.querySelector("#main");
const consent = document.querySelector("#consent");
const cart = new Map();
const money = (amount) => `€${amount.toFixed(2)}`;

/** An element of text and children; nothing that comes from outside is ever markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function picture({ id, name, glaze }) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.innerHTML = PICTURES[id];
  for (const [key, value] of Object.entries({ class: "picture", viewBox: "0 0 80 60", role: "img", "aria-label": name, style: `--glaze: ${glaze}` })) drawn.setAttribute(key, value);
  return drawn;
}

/** Tells Throng, and shows at the foot of the page what was told. */
function tell(name, properties) {
  throng.track(name, properties);
  note(name, properties);
}

function note(name, properties = {}) {
  if (!consent.checked) return;
  const log = document.querySelector("#log");
  log.prepend(element("li", {}, element("b", {}, name), ` ${JSON.stringify(properties)}`));
  while (log.children.length > 6) log.lastChild.remove();
}

function total() {
  return [...cart].reduce((sum, [product, quantity]) => sum + product.price * quantity, 0);
}

function show(title, ...children) {
  document.title = `${title} · Kiln & Co`;
  main.replaceChildren(...children);
  document.querySelector("#cart-count").textContent = String([...cart.values()].reduce((sum, quantity) => sum + quantity, 0));
  note("page_view", { url: location.pathname + location.hash, title: document.title });
}

function shelf() {
  const item = (product) =>
    element("li", {}, element("a", { href: `#/product/${product.id}` }, picture(product), element("div", {}, element("span", {}, product.name), element("span", { class: "price" }, money(product.price)))));
  show("Shop", element("h1", {}, "Pots for every day"), element("p", { class: "lead" }, "Thrown by hand, fired twice, dishwasher safe."), element("ul", { class: "products" }, ...PRODUCTS.map(item)));
}

function productPage(product) {
  const add = () => {
    cart.set(product, (cart.get(product) ?? 0) + 1);
    tell("add_to_cart", { product: product.name, price: product.price, currency: "EUR" });
    location.hash = "#/cart";
  };
  const words = element("div", {}, element("h1", {}, product.name), element("p", { class: "lead" }, product.text), element("span", { class: "price" }, money(product.price)), element("div", { class: "row" }, element("button", { type: "button", click: add }, "Add to cart"), element("a", { href: "#/" }, "Keep looking")));
  show(product.name, element("div", { class: "product" }, picture(product), words));
  tell("product_view", { product: product.name, price: product.price, currency: "EUR" });
}

function cartPage() {
  if (cart.size === 0) {
    show("Cart", element("h1", {}, "Your cart is empty"), element("p", { class: "lead" }, element("a", { href: "#/" }, "Back to the shelf →")));
    return;
  }
  const rows = [...cart].map(([product, quantity]) => element("tr", {}, element("td", {}, `${product.name} × ${quantity}`), element("td", { class: "price" }, money(product.price * quantity))));
  const table = element("table", {}, ...rows, element("tr", {}, element("th", {}, "Total"), element("th", { class: "price" }, money(total()))));
  show("Cart", element("div", { class: "narrow" }, element("h1", {}, "Your cart"), table, element("button", { type: "button", click: () => { location.hash = "#/checkout"; } }, "Check out")));
}

function checkoutPage() {
  if (cart.size === 0) {
    cartPage();
    return;
  }
  const pay = () => {
    tell("purchase", { price: total(), currency: "EUR", items: [...cart.keys()].map(({ name }) => name) });
    cart.clear();
    location.hash = "#/thanks";
  };
  show("Checkout", element("div", { class: "narrow" }, element("h1", {}, "Check out"), element("p", { class: "lead" }, `${money(total())}, paid with pretend money.`), element("button", { type: "button", click: pay }, `Pay ${money(total())}`)));
}

function route() {
  const [, page, id] = location.hash.slice(1).split("/");
  const product = PRODUCTS.find((known) => known.id === id);
  if (page === "product" && product) productPage(product);
  else if (page === "cart") cartPage();
  else if (page === "checkout") checkoutPage();
  else if (page === "thanks") show("Thank you", element("h1", {}, "Thank you!"), element("p", { class: "lead" }, "Your pots are on their way. ", element("a", { href: "#/" }, "Back to the shelf →")));
  else shelf();
}

/** Signing in tells who the visitor is, for the past too; signing out makes what follows somebody else's. */
function watchAccount() {
  const button = document.querySelector("#account");
  const draw = () => { button.textContent = localStorage.getItem("shop.user") ? "Sign out" : "Sign in"; };
  button.addEventListener("click", () => {
    if (localStorage.getItem("shop.user")) {
      localStorage.removeItem("shop.user");
      throng.reset();
      note("reset");
    } else {
      const user = `customer-${Math.floor(Math.random() * 1e6)}`;
      localStorage.setItem("shop.user", user);
      throng.identify(user, { plan: "regular" });
      note("$identify", { user_id: user, plan: "regular" });
    }
    draw();
  });
  draw();
}

function open(url, writeKey) {
  const cookieless = address.has("cookieless");
  throng.init({ url, writeKey, cookieless, pageViews: "hash", flushIntervalMs: 1_000 });
  const script = element("script", { src: `${url}/throng.js`, async: "" });
  const state = document.querySelector("#state");
  state.textContent = cookieless ? `to ${url}, keeping nothing on this device` : `to ${url}`;
  script.addEventListener("error", () => { state.textContent = `${url}/throng.js cannot be loaded: is Throng there?`; });
  document.head.append(script);
  consent.checked = localStorage.getItem("shop.consent") !== "no";
  consent.addEventListener("change", () => {
    localStorage.setItem("shop.consent", consent.checked ? "yes" : "no");
    if (consent.checked) throng.optIn();
    else throng.optOut();
  });
  watchAccount();
  addEventListener("hashchange", route);
  route();
}

const [url, writeKey] = [address.get("url"), address.get("write_key")];
if (url && writeKey) open(url.replace(/\/+$/, ""), writeKey);
else {
  document.querySelector("footer").remove();
  document.querySelector("header nav").remove();
  main.append(document.querySelector("#setup").content.cloneNode(true));
}
