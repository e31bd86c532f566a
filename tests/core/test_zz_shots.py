"""Throwaway: screenshots of the real pages."""
import os
from django.test import Client
import pytest
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer
from tests import make
from broker.navigation import MENU
pytestmark=[pytest.mark.django_db(transaction=True)]
def test_shots(browser, transactional_db, settings):
    make.defaults()
    srv=make.server(); cen=make.center(srv); me=make.user("alice",at=srv)
    ds=[make.desktop(cen) for _ in range(6)]
    pool=make.pool(cen); make.assignment(me,ds[0])
    c=make.admin_client(Client())
    s=LiveServer("127.0.0.1")
    n=os.environ.get("SHOT_W","1280"); theme=os.environ.get("SHOT_T","light")
    ctx=browser.new_context(viewport={"width":int(n),"height":900},color_scheme=theme,base_url=s.url)
    ctx.add_cookies([{"name":"sessionid","value":c.cookies["sessionid"].value,"url":s.url}])
    p=ctx.new_page(); 
    p.on("console",lambda m: print("CONSOLE",p.url,m.text[:160]) if m.type in("error","warning") else None)
    todo=os.environ.get("SHOT_U","").split()
    if not todo:
        for es in MENU.values():
            for e in es:
                try: todo.append(reverse(e.url_name))
                except Exception as x: print("NO",e.url_name)
        todo+=[u+"add/" for u in todo if "/configuration/" in u or "/setup/" in u]+["/desktops/","/search/?search=a",f"/resources/desktops/{ds[0].pk}/",f"/setup/centers/{cen.pk}/",f"/configuration/pools/{pool.pk}/"]
    for u in todo:
        r=p.goto(u); p.wait_for_timeout(150)
        w=p.evaluate("document.documentElement.scrollWidth-innerWidth")
        print(r.status,u,"WIDE" if w>0 else "")
        p.screenshot(path=f"/tmp/ui/real/{n}{theme[0]}{u.strip('/').replace('/','_').replace('?','_')}.png",full_page=False)
    ctx.close(); s.stop()
