import json, pathlib, sys
F='/work/shared/fixtures/archives/'
def post(client, path, **k):
    r=client.post('/archives/v1/import', json={'archive_path':F+path, **k}); return r
def test_all(client, live):
    r=post(client,'archive',name='imported'); print(r.status_code, r.text)
    assert r.status_code==201
    pid=r.json()['project_id']
    for p in ('/index.html','/api','/other'):
        x=client.get(f'/projects/v1/{pid}/static{p}'); print(p, x.status_code, x.text[:200])
    print(client.get(f'/projects/v1/{pid}').text[:600])
    key=client.get(f'/projects/v1/{pid}').json()
    t=client.post('/auth/v1/dev-tokens',json={'project_id':pid,'sub':'auth_subject_alice'}).json()['token']
    print(client.get('/rest/v1/todos', headers={'apikey':key['anon_key'],'Authorization':'Bearer '+t}).text)
    print(client.get('/rest/v1/todo_audit', headers={'apikey':key['anon_key'],'Authorization':'Bearer '+t}).text)
    print(client.get('/rest/v1/todos', headers={'apikey':key['anon_key']}).text)
    print(client.get(f'/projects/v1/{pid}/storage/public/objects/public.txt').text)
    print(client.post('/rest/v1/todos', json={'owner_id':'auth_subject_alice','title':'x'}, headers={'apikey':key['anon_key'],'Authorization':'Bearer '+t}).text)
    print(client.get(f'/projects/v1/admin/{pid}/expose', headers={'Authorization':'Bearer '+key['service_key']}).text[:3000])
    print(post(client,'archive',name='imported').text)
    print(post(client,'archive',name='x2',dry_run=True).text)
    print(post(client,'archive',name='x2',require_runnable=True).text)
    r=post(client,'archive',name='x2',require_runnable=True,secret_values={'OPENAI_API_KEY':'k'}); print(r.text)
    pid=r.json()['project_id']
    for p in ('/index.html','/api','/other'):
        x=client.get(f'/projects/v1/{pid}/static{p}'); print(p, x.status_code, x.text[:200])
    for d in ('unsafe-database-sql','unsupported-extension','unsupported-table-schema','credential-auth-export'):
        r=post(client,'import-failure/'+d,name='f'); print(r.status_code,r.text)
    r=post(client,'corrupt/missing-blob',name='f'); print(r.status_code,r.text[:300])
    print(client.get('/projects/v1').text[:500])
