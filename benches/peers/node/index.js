// A create with mail as a Node.js function would do it: the caller, the body, the directory (cached), one transaction,
// one message. Kept as small as possible, so it does less than the function: no connector templates, no retries besides
// the SDK's, few of the checks.
import http from "node:http";
import { randomBytes } from "node:crypto";
import { BatchGetItemCommand, DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";

const dynamodb = new DynamoDBClient();
const ses = new SESv2Client();
const TableName = process.env.TABLE_NAME;
const EMAIL = /^[A-Za-z0-9_'+-]+(\.[A-Za-z0-9_'+-]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}$/;
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const remembered = new Map();

const key = (tenant, sk) => ({ pk: { S: `TENANT#${tenant}` }, sk: { S: sk } });
const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json; charset=utf-8" },
  body: JSON.stringify(body),
});

async function directory(tenant, names) {
  const missing = names.filter((name) => !remembered.has(`${tenant}#${name}`));
  if (missing.length > 0) {
    const Keys = missing.map((name) => key(tenant, name));
    const read = new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } });
    for (const row of (await dynamodb.send(read)).Responses[TableName]) remembered.set(`${tenant}#${row.sk.S}`, row);
  }
  return names.map((name) => remembered.get(`${tenant}#${name}`));
}

async function create(event) {
  const claims = event.requestContext?.authorizer?.jwt?.claims;
  if (!claims) return answer(401, { code: "auth.unauthorized" });
  const tenant = claims.tenant_id;
  if (!claims.scope?.split(" ").includes("all")) return answer(403, { code: "auth.forbidden" });
  const body = JSON.parse(event.body);
  if (!EMAIL.test(body.invitee) || !(body.expiresAt > Date.now())) return answer(400, { code: "guard.invalid_input" });

  const names = [`ORGANIZATION#${body.organizationId}`, `USER#${body.inviterId}`, "CONNECTOR#Email"];
  const [organization, inviter, connector, ...roles] = await directory(tenant, [
    ...names,
    ...body.organizationRoleIds.map((id) => `ROLE#${id}`),
  ]);
  const id = Date.now().toString(36).padStart(9, "0") + randomBytes(6).toString("hex");
  const now = Date.now();
  const invitee = body.invitee.toLowerCase();
  const link = body.messagePayload.link.replace("{invitationId}", id);
  const condition = { ConditionExpression: "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" };
  const put = (item) => ({ Put: { TableName, Item: item, ...condition } });
  const ttl = { N: String(Math.ceil(body.expiresAt / 1000)) };
  await dynamodb.send(
    new TransactWriteItemsCommand({
      TransactItems: [
        put({
          ...key(tenant, `ORG#${body.organizationId}#INVITEE#${invitee}`),
          state: { S: "pending" },
          invitationId: { S: id },
          expiresAt: { N: String(body.expiresAt) },
          ttl,
        }),
        put({
          ...key(tenant, `INVITATION#${id}`),
          id: { S: id },
          invitee: { S: body.invitee },
          inviterId: { S: body.inviterId },
          organizationId: { S: body.organizationId },
          status: { S: "Pending" },
          createdAt: { N: String(now) },
          updatedAt: { N: String(now) },
          expiresAt: { N: String(body.expiresAt) },
          organizationRoles: { L: roles.map((role) => ({ M: { id: role.id, name: role.name } })) },
          organizationKey: { S: `TENANT#${tenant}#ORG#${body.organizationId}` },
          inviteeKey: { S: `TENANT#${tenant}#INVITEE#${invitee}` },
          inviterKey: { S: `TENANT#${tenant}#INVITER#${body.inviterId}` },
          ttl,
        }),
        put({ ...key(tenant, `SENDS#${invitee}`), sends: { L: [{ N: String(now) }] }, version: { S: id }, ttl }),
      ],
    }),
  );

  const escape = (text) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]);
  const part = (Data) => ({ Data, Charset: "UTF-8" });
  const sentence = `${inviter.name.S} invited you to join ${organization.name.S}`;
  await ses.send(
    new SendEmailCommand({
      FromEmailAddress: connector.fromEmailAddress.S,
      Destination: { ToAddresses: [body.invitee] },
      Content: {
        Simple: {
          Subject: part(sentence),
          Body: {
            Html: part(`<p>${escape(sentence)}</p><p><a href="${escape(link)}">Accept invitation</a></p>`),
            Text: part(`${sentence}: ${link}`),
          },
        },
      },
      EmailTags: [{ Name: "tenant", Value: tenant }, { Name: "invitation", Value: id }],
    }),
  );
  return answer(201, { tenantId: tenant, id, ...body, status: "Pending", createdAt: now, updatedAt: now });
}

// Does the work of Lambda's own runtime for Node.js.
const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
function runtime(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path: `/2018-06-01/runtime/${path}`, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ id: response.headers["lambda-runtime-aws-request-id"], text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function run() {
  for (;;) {
    const { id, text } = await runtime("GET", "invocation/next");
    try {
      await runtime("POST", `invocation/${id}/response`, JSON.stringify(await create(JSON.parse(text))));
    } catch (error) {
      await runtime("POST", `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error) }));
    }
  }
}

run();
