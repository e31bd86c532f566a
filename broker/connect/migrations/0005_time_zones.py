from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connect', '0004_launches_through_gateways'),
    ]

    operations = [
        migrations.AddField(
            model_name='launch',
            name='time_zone',
            field=models.CharField(blank=True, help_text="What its desktop's becomes; empty: as it is.", max_length=64),
        ),
        migrations.AddField(
            model_name='launch',
            name='zone_asked_of',
            field=models.BigIntegerField(blank=True, help_text='The desktop that was asked for it.', null=True),
        ),
        migrations.AddField(
            model_name='portalsession',
            name='time_zone',
            field=models.CharField(blank=True, help_text='Of the device, as its browser says.', max_length=64),
        ),
    ]
