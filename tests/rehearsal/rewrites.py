"""Rules that replace what the emulator lacks in a template.

A rule changes a transformed template and returns the names of the changed parts. A rule that changes nothing is an error:
the template or the emulator has changed, so remove or fix the rule. `holds` returns the value of a condition."""


def api_body(template, holds):
    """an HTTP API's Body is not imported: its authorizer, integrations, routes and CORS are resources and properties"""
    resources = template["Resources"]
    apis = {
        name: api for name, api in of_type(resources, "AWS::ApiGatewayV2::Api").items() if "Body" in api["Properties"]
    }
    for name, api in apis.items():
        body = api["Properties"].pop("Body")
        # An import takes these from the body.
        api["Properties"] |= {"Name": body["info"]["title"], "ProtocolType": "HTTP"}
        for scheme, definition in body["components"]["securitySchemes"].items():
            resources[f"{name}{scheme}"] = authorizer(name, scheme, definition["x-amazon-apigateway-authorizer"])
        # The emulator expects the property names as in an import, in camel case.
        api["Properties"]["CorsConfiguration"] = body["x-amazon-apigateway-cors"]
        for number, (path, method, operation, condition) in enumerate(operations(body)):
            made = {
                f"{name}Integration{number}": integration(name, operation["x-amazon-apigateway-integration"]),
                f"{name}Route{number}": route(
                    name, number, route_key(path, method, operation), operation.get("security", [])
                ),
            }
            resources |= {key: each | condition for key, each in made.items()}
    return [f"{name}.Body" for name in apis]


def operations(body):
    """The path, the method and the operation of each route, and the condition of the route."""
    for path, methods in body["paths"].items():
        name, methods, _ = methods.get("Fn::If", (None, methods, None))
        for method, operation in methods.items():
            yield path, method, operation, {"Condition": name} if name else {}


def authorizer(api, name, definition):
    configuration = definition["jwtConfiguration"]
    return resource(
        "AWS::ApiGatewayV2::Authorizer",
        ApiId={"Ref": api},
        Name=name,
        AuthorizerType=definition["type"].upper(),
        IdentitySource=[definition["identitySource"]],
        JwtConfiguration={"Issuer": configuration["issuer"], "Audience": configuration["audience"]},
    )


def integration(api, definition):
    return resource(
        "AWS::ApiGatewayV2::Integration",
        ApiId={"Ref": api},
        IntegrationType=definition["type"].upper(),
        IntegrationMethod=definition["httpMethod"],
        IntegrationUri=definition["uri"],
        PayloadFormatVersion=definition["payloadFormatVersion"],
    )


def route(api, number, key, security):
    schemes = [scheme for requirement in security for scheme in requirement]
    authorization = {"AuthorizationType": "NONE"}
    if schemes:
        [scheme] = schemes
        authorization = {"AuthorizationType": "JWT", "AuthorizerId": {"Ref": f"{api}{scheme}"}}
    return resource(
        "AWS::ApiGatewayV2::Route",
        ApiId={"Ref": api},
        RouteKey=key,
        Target={"Fn::Sub": f"integrations/${{{api}Integration{number}}}"},
        **authorization,
    )


def route_key(path, method, operation):
    if operation.get("isDefaultRoute"):
        return "$default"
    return f"{'ANY' if method == 'x-amazon-apigateway-any-method' else method.upper()} {path}"


def code_deploy(template, holds):
    """there is no CodeDeploy: the alias moves at once, no alarm is checked, and the rehearsal calls the hook"""
    resources = template["Resources"]
    changed = [name for name, entry in resources.items() if entry["Type"].startswith("AWS::CodeDeploy::")]
    for name in changed:
        # Other resources refer to the name.
        resources[name] = resource("AWS::CloudFormation::WaitConditionHandle")
    for name, entry in resources.items():
        if "CodeDeployLambdaAliasUpdate" in entry.get("UpdatePolicy", {}):
            del entry["UpdatePolicy"]
            changed.append(f"{name}.UpdatePolicy")
    return changed


def metric_math(template, holds):
    """an alarm on an expression is rejected: it watches the first metric of the expression"""
    alarms = {
        name: entry["Properties"]
        for name, entry in of_type(template["Resources"], "AWS::CloudWatch::Alarm").items()
        if "Metrics" in entry["Properties"]
    }
    for properties in alarms.values():
        first = next(each["MetricStat"] for each in properties.pop("Metrics") if "MetricStat" in each)
        properties |= first["Metric"] | {"Statistic": first["Stat"], "Period": first["Period"]}
    return list(alarms)


def mail_policy(template, holds):
    """SendEmail is authorized on *, where AWS checks identity, configuration set and template: its policy names *"""
    changed = []
    for name, role in of_type(template["Resources"], "AWS::IAM::Role").items():
        for statement in statements(role):
            if "ses:SendEmail" in statement["Action"]:
                statement["Resource"] = "*"
                changed.append(name)
    return changed


def stream_policy(template, holds):
    """reading a stream is authorized on *, where AWS checks the stream: its policy names *"""
    changed = []
    for name, role in of_type(template["Resources"], "AWS::IAM::Role").items():
        for statement in statements(role):
            if "dynamodb:GetRecords" in statement["Action"]:
                statement["Resource"] = "*"
                changed.append(name)
    return changed


def concurrency_policy(template, holds):
    """reading a function's concurrency is authorized as writing it: the reader's policy also allows writing"""
    changed = []
    for name, role in of_type(template["Resources"], "AWS::IAM::Role").items():
        for statement in statements(role):
            if statement["Action"] == "lambda:GetFunctionConcurrency":
                statement["Action"] = ["lambda:GetFunctionConcurrency", "lambda:PutFunctionConcurrency"]
                changed.append(name)
    return changed


def statements(role):
    """The statements of a role's policies, except conditional ones."""
    every = [each for policy in role["Properties"].get("Policies", []) for each in policy["PolicyDocument"]["Statement"]]
    return [each for each in every if "Action" in each]


def split_in_conditions(template, holds):
    """a condition cannot split text: it is replaced by its value"""
    conditions = [name for name, entry in template["Conditions"].items() if "Fn::Split" in str(entry)]
    values = {name: holds(name) for name in conditions}
    template["Conditions"] |= {name: {"Fn::Equals": [str(value), "True"]} for name, value in values.items()}
    return conditions


def dkim_records(template, holds):
    """an email identity has no DKIM records: the outputs with the records are removed"""
    names = [name for name, output in template["Outputs"].items() if "DkimDNSToken" in str(output)]
    for name in names:
        del template["Outputs"][name]
    return names


RULES = [
    api_body,
    code_deploy,
    metric_math,
    mail_policy,
    stream_policy,
    concurrency_policy,
    split_in_conditions,
    dkim_records,
]


def of_type(resources, kind):
    return {name: entry for name, entry in resources.items() if entry["Type"] == kind}


def resource(kind, **properties):
    return {"Type": kind, "Properties": properties}


def rewrite(template, rules, holds):
    """Applies the rules, and returns the parts that each rule changed."""
    changed = {}
    for rule in rules:
        changed[rule] = rule(template, holds)
        if not changed[rule]:
            raise LookupError(f"the rule {rule.__name__} finds nothing to change in this template")
    return changed
