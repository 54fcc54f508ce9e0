// Takes the pictures for the documents. Arguments: the URL of an empty `cargo dev`, and the directory to write to.
import { inbox, invite, launch, setStatus, baseUrl } from './driver.js';

const directory = process.argv[3];
const browser = await launch();

const take = async (name, path, viewport, options = {}) => {
  const page = await browser.newPage({ baseURL: baseUrl, locale: 'en-GB', colorScheme: 'light', viewport, deviceScaleFactor: 1.5 });
  await page.goto(path);
  const fullPage = options.fullPage ?? true;
  await page.screenshot({ path: `${directory}/${name}.png`, fullPage });
  await page.close();
};

try {
  await invite('grace@example.com');
  const alan = await invite('alan@example.com');
  await setStatus(alan.id, { status: 'Revoked' });
  const ada = await invite('ada@example.com', false);
  await setStatus(ada.id, { status: 'Accepted', acceptedUserId: 'ada' });
  await invite('bounce+hedy@simulator.amazonses.com');
  await new Promise((resolve) => setTimeout(resolve, 1000)); // SES's reports arrive
  const mail = (await inbox()).find(({ to }) => to === 'grace@example.com');

  const wide = { width: 880, height: 300 };
  await take('mail-wide', `/inbox/${mail.id}`, wide);
  await take('mail-narrow', `/inbox/${mail.id}`, { width: 400, height: 300 });
  await take('inbox', '/inbox', wide);
  await take('invitations', '/invitations', wide);
  await take('events', '/events', { width: 880, height: 900 }, { fullPage: false });
  await take('reference', '/docs#createOrganizationInvitation', { width: 880, height: 900 }, { fullPage: false });
} finally {
  await browser.close();
}
